// What the machine is given: by the broker, the stager, the supervisor of the containers, the owner, the clock.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/artifact/plan.hpp"
#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "core/wire/messages.hpp"

namespace instar::revision {

// `is_opened`: the last message that was to open the next connection (Publish::opens) went out with the request for it,
// and the broker has kept what this device listens to.
struct Connected {
  bool is_opened = false;
};
struct Disconnected {};
struct MessageArrived {
  std::string topic;
  Bytes payload;
};
struct Ticked {};  // at least once a second while busy; otherwise when next_deadline() says
struct FreeSpace {
  std::uint64_t bytes = 0;
  std::uint64_t files = UINT64_MAX;  // that can be made
};  // comes at start, after each change, and now and then, as others write to the same disk

// All that the shell knows of that does not work as it should, such as a full disk, as sentences. Comes when it
// changes.
struct HostTrouble {
  std::vector<std::string> lines;
};

// What the stager still wants of one pack: it comes once per choice after OpenStaging (with no ranges when nothing is
// wanted of it) and again whenever it changes as a whole (head read). A chunk that was handed over and is not yet
// durable may be named or left out. When nothing is wanted of any pack the machine asks FinishStaging, and StagingDone
// follows.
struct StagingWants {
  std::uint32_t revision = 0;
  PackId pack;
  std::vector<wire::ChunkRange> ranges;    // ascending; `offset` is 0 unless half a chunk survived
  std::vector<std::uint32_t> chunk_bytes;  // encoded size of each chunk of `ranges`, in that order
  std::uint64_t bytes_wanted = 0;          // encoded bytes of `ranges`
  bool exact = false;                      // false while a dedupe head is unread: more may be wanted after it
};
// A chunk is verified and durable.
struct ChunkDurable {
  std::uint32_t revision = 0;
  PackId pack;
  std::uint32_t ordinal = 0;
  std::uint32_t encoded_bytes = 0;
};
// A chunk arrived and does not match. The machine fetches it again once; no StagingWants is needed.
struct ChunkRefused {
  std::uint32_t revision = 0;
  PackId pack;
  std::uint32_t ordinal = 0;
  Error error;
};
struct StagingDone {
  std::uint32_t revision = 0;
};
// no_space (both numbers in the message), corrupt, malformed, refused, io …
struct StagingFailed {
  std::uint32_t revision = 0;
  Error error;
};
// A delta cannot make all of its artifact: files of its base are not what they should be, or it cannot be used at all.
struct PackUnusable {
  std::uint32_t revision = 0;
  PackId pack;
  Error error;                // what is wrong; names the first file
  artifact::Missing missing;  // files that will have to come from another pack; 0 files = everything
  // false: it comes once the head has been read, before anything of its body is wanted. The machine may end the
  // attempt; otherwise the delta is fetched for all that it can make. true: it has made that, and the staging waits for
  // an OpenStaging with another pack.
  bool now = true;
};
struct TryStarted {
  std::uint32_t revision = 0;
  std::uint32_t downtime_ms = 0;
  std::string remark = {};  // what people should know of the switch; for the report of the commit
};
struct TryFailed {  // could not even start
  std::uint32_t revision = 0;
  Error error;
};
struct ContainerStopped {
  std::uint32_t revision = 0;
  std::string container;
  std::string detail;
};
struct ProbeEnded {
  std::uint32_t revision = 0;
  std::string container;
  bool passed = false;
  std::string detail;  // exit code or "timed out after N ms", and the last line it printed
};
struct SwitchedBack {
  std::uint32_t revision = 0;  // that runs again
  std::uint32_t downtime_ms = 0;
};
struct SwitchBackFailed {
  Error error;
};

// What the owner of the device wants: comes at start and when it changes. A hold stops every release; an allowance is
// what releases that ask for consent wait for (`allowed`: a release's name, or the first 16 hex digits of its
// manifest's hash).
struct OwnerInstruction {
  bool hold = false;
  bool allow_any = false;
  std::string allowed;
  // A release that the owner brings: needs no gate, turn, window, consent or byte budget, and no rate slows it. Zero:
  // none.
  ManifestId install = {};
};
// Seconds that local time is east of UTC, and how good the clock is: comes at start and when it changes, with summer
// time, and when the clock was set.
struct LocalTime {
  std::int32_t utc_offset_s = 0;
  wire::ClockState clock = wire::ClockState::free;
};

using Event = std::variant<Connected, Disconnected, MessageArrived, Ticked, FreeSpace, HostTrouble, StagingWants,
                           ChunkDurable, ChunkRefused, PackUnusable, StagingDone, StagingFailed, TryStarted, TryFailed,
                           ContainerStopped, ProbeEnded, SwitchedBack, SwitchBackFailed, OwnerInstruction, LocalTime>;

}  // namespace instar::revision

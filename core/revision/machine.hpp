// The device's machine: hears manifests and gates, fetches, stages, tries, commits or rolls back, reports. Pure: events
// go in, effects come out. One thread.
//
// The shell carries the effects of one call out in order, under one rule: Persist is always first, and nothing after it
// happens before the state is durable. If the write fails the process stops, and starts again from the file. Effects
// may come again after a restart: each must be harmless when it is done already. Presence, with its last will, is the
// shell's own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/artifact/plan.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/revision/state_codec.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/topics.hpp"

namespace instar::revision {

// What the device is and what its owner allows: from its configuration and the kernel, fixed while the process runs.
struct DeviceFacts {
  DeviceId device;
  std::string product;
  std::vector<GroupPath> groups;
  std::string architecture;
  std::string kernel;
  std::string client_version;
  std::uint64_t memory_bytes = 0;
  // Names the boot of the machine, the same for each start of the client in it; 0 = not known, each start then counts
  // as a boot.
  std::uint64_t machine_boot = 0;
  bool metered = false;
  std::vector<std::string> lxc_keys_allowed;     // beyond the safe list
  bool devices_allowed = false;                  // device nodes in trees
  bool previous_makes_room = false;              // the revision before may be removed for the next
  std::vector<wire::ImageFormat> image_formats;  // that the kernel can mount, with a loop device
  std::uint32_t window_bytes_max = 256 * 1024;
  std::uint32_t piece_bytes_max = 32 * 1024;
  std::vector<std::string> degraded;  // what does not work as it should, known at the start
  // Kinds of payloads, beside containers, that something on this device takes (docs/handlers.md).
  std::vector<std::string> handlers;
  // The revision that is never removed, and what runs when there is no other: if one was provided.
  std::optional<RevisionRecord> factory;
  Bytes factory_manifest;  // its envelope
  // How long the broker may stay away after a settled try before that counts against the release (docs/health.md).
  std::uint32_t broker_grace_ms = 180'000;
};

// --- events -------------------------------------------------------------------------------------------
struct Connected {};
struct Disconnected {};
struct MessageArrived {
  std::string topic;
  Bytes payload;
};
struct Ticked {};  // at least once a second while busy; otherwise when next_deadline() says
struct FreeSpace {
  std::uint64_t bytes = 0;
};  // told at start, after each change, and now and then, as others write to the same disk

// What the stager still wants of one pack: told once per choice after OpenStaging (with no ranges when nothing is
// wanted of it) and again whenever it changes as a whole (head read). A chunk that was handed over and is not yet
// durable may be named or left out. When nothing is wanted of any pack the machine asks FinishStaging, and StagingDone
// follows.
struct StagingWants {
  std::uint32_t revision = 0;
  Hash256 pack;
  std::vector<wire::ChunkRange> ranges;    // ascending; `offset` is 0 unless half a chunk survived
  std::vector<std::uint32_t> chunk_bytes;  // encoded size of each chunk of `ranges`, in that order
  std::uint64_t bytes_wanted = 0;          // encoded bytes of `ranges`
  bool exact = false;                      // false while a dedupe head is unread: more may be wanted after it
};
// A chunk is verified and durable.
struct ChunkDurable {
  std::uint32_t revision = 0;
  Hash256 pack;
  std::uint32_t ordinal = 0;
  std::uint32_t encoded_bytes = 0;
};
// A chunk arrived and does not match. The machine fetches it again once; no StagingWants is needed.
struct ChunkRefused {
  std::uint32_t revision = 0;
  Hash256 pack;
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
  Hash256 pack;
  Error error;                // what is wrong; names the first file
  artifact::Missing missing;  // files that will have to come from another pack; 0 files = everything
  // false: told once its head has been read, before anything of its body is wanted. The machine may end the attempt;
  // otherwise the delta is fetched for all that it can make. true: it has made that, and the staging waits for an
  // OpenStaging with another pack.
  bool now = true;
};
struct TryStarted {
  std::uint32_t revision = 0;
  std::uint32_t downtime_ms = 0;
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

// What the owner of the device says: told at start and when it changes. A hold holds any release; an allowance is what
// releases that ask for consent wait for (`allowed`: a release's name, or the first 16 hex digits of its manifest's
// hash).
struct OwnerWord {
  bool hold = false;
  bool allow_any = false;
  std::string allowed;
  // A release that the owner brings: needs no gate, turn, window, consent or byte budget. Zero: none.
  Hash256 install = {};
};
// Seconds that local time is east of UTC: told at start and when it changes, with summer time.
struct LocalTime {
  std::int32_t utc_offset_s = 0;
};

using Event = std::variant<Connected, Disconnected, MessageArrived, Ticked, FreeSpace, StagingWants, ChunkDurable,
                           ChunkRefused, PackUnusable, StagingDone, StagingFailed, TryStarted, TryFailed,
                           ContainerStopped, ProbeEnded, SwitchedBack, SwitchBackFailed, OwnerWord, LocalTime>;

// --- effects ------------------------------------------------------------------------------------------
struct Persist {
  Bytes state;
};  // the whole DeviceState (docs/formats/device-state.md), to replace the file atomically
struct Publish {
  std::string topic;
  Bytes payload;
  int qos = 1;
  bool retain = false;
};
// Which pack to use for one artifact.
struct PackChoice {
  Hash256 artifact;
  Hash256 pack;
};
// Make or reopen the staging folder of `revision` and say what is wanted. Space is reckoned before the first byte.
struct OpenStaging {
  std::uint32_t revision = 0;
  wire::Manifest manifest;
  std::vector<PackChoice> choices;
  std::vector<std::uint32_t> bases;  // revisions whose trees may be used
};
// Pieces of one chunk come in order, without holes, from offset 0 (or from the offset that StagingWants named). A piece
// at offset 0 starts its chunk anew. While a chunk is half there no piece of another one comes, unless the half is
// given up.
struct StagePiece {
  std::uint32_t revision = 0;
  Hash256 pack;
  std::uint32_t ordinal = 0;
  std::uint32_t offset = 0;
  Bytes data;
};
// Everything is there: verify the whole tree against the index, link, write LXC configurations.
struct FinishStaging {
  std::uint32_t revision = 0;
};
// Drop a staging folder or an old revision.
struct RemoveRevision {
  std::uint32_t revision = 0;
};
// Of a revision that runs nothing: all artifacts go but these. What it keeps may still be used.
struct TrimRevision {
  std::uint32_t revision = 0;
  std::vector<Hash256> keep;
};
// Stop what changed of `from` (0 = nothing runs), start `to`'s containers. After a restart it may come again while some
// of `to` run: they stay, and TryStarted follows all the same.
struct StartTry {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  wire::Manifest manifest;
};
struct RunProbe {
  std::uint32_t revision = 0;
  std::string container;
  wire::Probe probe;
};
// Stop `from`, start `to` (0 = none: nothing ran before).
struct SwitchBack {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::optional<wire::Manifest> manifest;
};
// At start: make sure that the containers of the current revision run (they usually still do). With payloads of host
// handlers also at the commit: what was tried is kept.
struct EnsureRunning {
  std::uint32_t revision = 0;
  wire::Manifest manifest;
};
// `current` has moved: point the convenience symlinks at it.
struct PointCurrent {
  std::uint32_t current = 0;
  std::uint32_t previous = 0;  // 0 = none
};
// subscriptions() has changed.
struct Resubscribe {};
struct Log {
  int level = 6;  // syslog numbers: 3 error, 4 warning, 5 notice, 6 info
  std::string message;
};

using Effect = std::variant<Persist, Publish, OpenStaging, StagePiece, FinishStaging, RemoveRevision, TrimRevision,
                            StartTry, RunProbe, SwitchBack, EnsureRunning, PointCurrent, Resubscribe, Log>;
using Effects = std::vector<Effect>;

class Machine {
 public:
  // `state`: the persisted bytes, empty at the very first start (then `pinned_root` is root 1 from provisioning).
  // Errors: corrupt or malformed state (the shell moves the file aside and starts from `pinned_root`: a safe default),
  // or a pinned root that does not verify (the shell stops and says so).
  [[nodiscard]] static Result<std::unique_ptr<Machine>> load(DeviceFacts facts, trust::SecretKey key,
                                                             wire::Topics topics, ByteView state, ByteView pinned_root,
                                                             Now now, Effects& effects);
  ~Machine();

  // Appends to `effects`; never fails on input from outside (it reports and logs).
  void handle(const Event& event, Now now, Effects& effects);

  // When Ticked is wanted next at the latest.
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;
  // Topic filters this device hears.
  [[nodiscard]] std::vector<std::pair<std::string, int>> subscriptions() const;

  // For status commands and tests.
  struct View {
    std::string phase;  // name of the persisted phase
    std::string waits;  // what it waits for; empty = for nothing
    std::optional<wire::RevisionInfo> running;
    std::uint32_t current_revision = 0;
    std::uint32_t previous_revision = 0;
    std::uint32_t candidate_revision = 0;
    std::set<std::uint32_t>
        revisions;  // these, and what ended attempts have left: what is on disk beyond them is of no use
    std::uint64_t bytes_fetched = 0;
    std::size_t pending_reports = 0;
    std::uint64_t last_report = 0;
  };
  [[nodiscard]] View view() const;

 private:
  struct State;
  explicit Machine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace instar::revision

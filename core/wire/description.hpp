// A device's description: what it is, what it has and what it runs. The device makes it (DeviceFacts and its
// revisions), a hello carries it, the broker's store keeps it, `instar devices show` prints it. These bytes are its one
// encoding.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/wire/image_format.hpp"

namespace instar::wire {

struct RevisionInfo {
  std::string product;
  std::string release;
  std::uint64_t sequence = 0;
  ManifestId manifest;
  std::vector<ArtifactId> artifacts;
  friend bool operator==(const RevisionInfo&, const RevisionInfo&) = default;
};

// What a device knows of its own clock; the numbers of instar.fb.ClockState.
enum class ClockState : std::uint8_t {
  unknown = 0,  // it has not said
  none = 1,     // it keeps no time while the device is off
  free = 2,     // nobody sets it
  synchronized = 3,
};
[[nodiscard]] std::string_view clock_state_name(ClockState state) noexcept;

struct Description {
  std::string product;
  std::vector<GroupPath> groups;
  std::string architecture;
  std::string kernel;
  std::string client_version;
  std::uint64_t memory_bytes = 0;  // of RAM
  std::uint64_t free_bytes = 0;    // of the state folder
  bool metered = false;            // the link costs by the byte
  std::optional<RevisionInfo> running;
  std::optional<RevisionInfo> previous;
  std::vector<std::uint8_t> pack_formats;  // that the client can decode, also of a later version
  std::uint32_t root_version = 0;
  std::vector<std::string> degraded;       // what does not work as it should
  std::vector<ImageFormat> image_formats;  // that the device can mount, also of a later version
  std::vector<std::string> handlers;       // kinds of payloads, beside containers, that something on the device takes
  std::uint64_t highest_sequence = 0;      // that a release must be above to be taken
  WallMs time;                             // of its own clock, when it said this; 0: it did not
  ClockState clock = ClockState::unknown;
  friend bool operator==(const Description&, const Description&) = default;
};

// As the broker's store keeps it. Bounds and errors are those of a hello. decode_description() takes what
// encode_description() writes and nothing else: other bytes of the same meaning are damage.
[[nodiscard]] Bytes encode_description(const Description& description);
[[nodiscard]] Result<Description> decode_description(ByteView bytes);

}  // namespace instar::wire

// What `instar-device status` says. It only reads files, so it works with and without the daemon.
#pragma once

#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/revision/machine.hpp"
#include "core/revision/state_codec.hpp"
#include "device-client/link_words.hpp"
#include "device-client/process/config.hpp"
#include "files/files.hpp"

namespace instar::device {

struct DeviceStatus {
  DeviceId device;
  std::string product;
  int daemon_pid = 0;  // 0: not running
  revision::DeviceState state;
  std::optional<revision::RevisionRecord> factory;
  // The artifact of the release that its client came with. nullopt: the system's own client.
  std::optional<ArtifactId> client;
  revision::OwnerInstruction owner;
  // Of the daemon that runs, or ran last.
  LinkRecord link;
  WallMs wall;  // of the device's own clock now
  wire::ClockState clock = wire::ClockState::unknown;
  // It does not stand behind the root document: it can tell whether a gate lies ahead.
  bool is_clock_credible = false;
  files::Space disk;                   // of the state folder
  bool has_reserve = false;            // all of the client's reserve is there
  std::uint32_t silence_days_max = 0;  // after which the broker's silence is worth a warning; 0: never
};

// Errors: not_found (the daemon has never run), corrupt, malformed, unsupported, io.
[[nodiscard]] Result<DeviceStatus> read_status(const Config& config);
// One JSON document, described in docs/device.md.
[[nodiscard]] std::string status_json(const DeviceStatus& status);
[[nodiscard]] std::string status_text(const DeviceStatus& status);
// "updates are held", "releases that ask for consent wait" …
[[nodiscard]] std::string owner_text(const revision::OwnerInstruction& word);

}  // namespace instar::device

// What the device is and what its owner allows: from its configuration and the kernel, fixed while the process runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/ids.hpp"
#include "core/revision/device_state.hpp"
#include "core/wire/description.hpp"

namespace instar::revision {

struct DeviceFacts {
  DeviceId device;
  // What hellos say of the device. Known at the start: all but the revisions, the free space, the formats of packs and
  // the root's version; `degraded` holds what did not work then. `groups` are those of the configuration.
  wire::Description description;
  // Names the boot of the machine, the same for each start of the client in it; 0 = not known, each start then counts
  // as a boot.
  std::uint64_t machine_boot = 0;
  std::uint64_t instance = 0;                 // random for each start of the client; 0: not said
  Bytes token;                                // the one-time token of the device's enrolment; empty: none
  std::string no_containers;                  // why none can run on this machine; empty: they can
  std::vector<std::string> lxc_keys_allowed;  // beyond the safe list
  bool devices_allowed = false;               // device nodes in trees
  bool previous_makes_room = false;           // the revision before may be removed for the next
  std::uint32_t window_bytes_max = 256 * 1024;
  std::uint32_t piece_bytes_max = 32 * 1024;
  // The revision that is never removed, and what runs when there is no other: if one was provided.
  std::optional<RevisionRecord> factory;
  Bytes factory_manifest;  // its envelope
  // How long the broker may stay away after a settled try before that counts against the release (docs/health.md).
  std::uint32_t broker_grace_ms = 180'000;
  std::uint32_t silence_days = 7;  // of the broker, before the device says so; 0 = never
};

}  // namespace instar::revision

// What the device is and what its owner allows: from its configuration and the kernel, fixed while the process runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/ids.hpp"
#include "core/revision/device_state.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

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

}  // namespace instar::revision

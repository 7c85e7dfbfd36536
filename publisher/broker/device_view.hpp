// What the broker knows of devices, read from its JSON (docs/formats/control.md) and shown to people.
#pragma once

#include <string>

#include "core/base/time.hpp"
#include "core/wire/description.hpp"
#include "publisher/console/console.hpp"

namespace instar::publisher {

// A row of listDevices with "verbose", or getDevice.
struct KnownDevice {
  std::string device;
  bool online = false;
  WallMs last_seen;
  wire::Description description;
};
// What is absent or no such value has its default.
[[nodiscard]] KnownDevice read_device(const Json& row);

// Rows of listDevices.
[[nodiscard]] std::string devices_text(const Json& rows, WallMs now);
// Devices whose hellos were refused because they are not enrolled; empty when there are none.
[[nodiscard]] std::string refused_text(const Json& rows, WallMs now);
// An answer of getDevice.
[[nodiscard]] std::string device_text(const Json& device, WallMs now);

}  // namespace instar::publisher

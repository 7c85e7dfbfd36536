// The factory revision: it is never removed, and it runs when nothing else can. `<state_dir>/factory` is a device state
// (docs/formats/device-state.md) from the moment when the revision was made the factory one. It has only that revision,
// with the root document and the highest sequence of that time. A device whose state file is lost or damaged starts
// from it.
#pragma once

#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/revision/state_codec.hpp"

namespace instar::device {

// nullopt: there is none. Errors: io, corrupt, malformed, unsupported.
[[nodiscard]] Result<std::optional<revision::DeviceState>> read_factory(const std::string& state_dir);

// Makes the current revision the factory revision; the one before it loses its protection. Durable when it returns.
// Returns the name of the release. Errors: refused (nothing is committed, or an attempt is going on), io, corrupt.
[[nodiscard]] Result<std::string> set_factory(const std::string& state_dir);

}  // namespace instar::device

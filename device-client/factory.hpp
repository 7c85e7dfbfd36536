// The factory revision: never removed, and what runs when there is no other way. `<state_dir>/factory` is a device
// state (docs/formats/device-state.md) as it was when the revision was made the factory one: that revision alone, with
// the root document and the highest sequence of then. A device whose state file is lost or rotten goes on from it.
#pragma once

#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/revision/state_codec.hpp"

namespace instar::device {

// nullopt: none was provided. Errors: io, corrupt, malformed, unsupported.
[[nodiscard]] Result<std::optional<revision::DeviceState>> read_factory(const std::string& state_dir);

// What runs now is the factory revision from here on; the one before it loses its protection. Durable when it returns.
// The name of the release. Errors: refused (nothing is committed, or a release is under way), io, corrupt.
[[nodiscard]] Result<std::string> set_factory(const std::string& state_dir);

}  // namespace instar::device

// The form on disk of what the device remembers: a FlatBuffer and a checksum after it (docs/formats/device-state.md).
#pragma once

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/revision/device_state.hpp"

namespace instar::revision {

[[nodiscard]] Bytes encode_state(const DeviceState& state);

// Errors: corrupt (checksum: a torn or rotten file), malformed (whole, but not a state that this version wrote),
// unsupported (a later format).
[[nodiscard]] Result<DeviceState> decode_state(ByteView bytes);

}  // namespace instar::revision

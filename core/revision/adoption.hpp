// A state that another device has written, or the same one with another name or product: what of it counts for this
// device. What runs stays: its content does not know its device. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/revision/device_state.hpp"

namespace instar::revision {

// Makes `state` this device's, and says what was changed, in sentences for the log. A state that names nobody is this
// device's.
//   another name: reports that wait for their ack and the assignment of groups are the other one's, and go.
//   another product: sequences start over, and nothing is known of how releases ended; a candidate that has not been
//   switched to is given up, and is what an ended attempt has left.
[[nodiscard]] std::vector<std::string> adopt(DeviceState& state, const DeviceId& device, const std::string& product);

}  // namespace instar::revision

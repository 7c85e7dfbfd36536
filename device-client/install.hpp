// `instar-device install FILE`: a signed release from a file, with the link down or without one. The same daemon,
// machine and stager take it as from the broker: signatures, product, sequence, space, try, commit or rollback. What
// the owner has at hand needs no gate, turn, window, consent or byte budget.
#pragma once

#include <functional>
#include <string>

#include "core/base/result.hpp"
#include "device-client/daemon.hpp"
#include "device-client/device_status.hpp"

namespace instar::device {

// What it came to, as a sentence. `status`: the device's before; `parts.make_client` is replaced. Waits for the
// verdict. Errors: those of the bundle; refused (not for this device, held, not newer); unhealthy and others, as the
// release's ending says.
[[nodiscard]] Result<std::string> install(const std::string& path, DaemonParts parts,
                                          const std::optional<DeviceStatus>& status, int stop_fd);

}  // namespace instar::device

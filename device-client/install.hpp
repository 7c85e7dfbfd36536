// `instar-device install FILE`: installs a signed release from a file, without a link. The same daemon, machine and
// stager handle it as a release from the broker: signatures, product, sequence, space, trial, commit or rollback. But
// because the owner has the file, it needs no gate, turn, window, consent or byte budget.
#pragma once

#include <functional>
#include <string>

#include "core/base/result.hpp"
#include "device-client/daemon.hpp"
#include "device-client/device_status.hpp"

namespace instar::device {

// Waits for the verdict and returns the outcome as a sentence. `status`: the device's status before;
// `parts.make_client` is replaced. Errors: those of the bundle; refused (not for this device, held, not newer);
// unhealthy and other codes with which the release ended.
[[nodiscard]] Result<std::string> install(const std::string& path, DaemonParts parts,
                                          const std::optional<DeviceStatus>& status, int stop_fd);

}  // namespace instar::device

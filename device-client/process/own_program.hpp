// The program that this process runs: the client, or instar-lxc.
#pragma once

#include <string>

#include "core/base/result.hpp"

namespace instar::device {

// Its absolute path. Errors: io.
[[nodiscard]] Result<std::string> own_program();

}  // namespace instar::device

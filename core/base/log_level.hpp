// How much a line of the log matters. The numbers are those of syslog, so that a shell can hand them on.
#pragma once

#include <cstdint>

namespace instar {

enum class LogLevel : std::uint8_t { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

}  // namespace instar

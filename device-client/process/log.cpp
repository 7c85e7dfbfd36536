#include "device-client/process/log.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string>

namespace instar::device {

bool Log::stderr_is_journal() {
  return std::getenv("JOURNAL_STREAM") != nullptr;
}

void Log::write(int level, std::string_view message) const {
  if (level > level_max_) return;
  constexpr const char* kNames[] = {"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"};
  std::string line;
  if (journal_) {
    line = "<" + std::to_string(level) + ">";
  } else {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    char time[32];
    std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ ", &utc);
    line = std::string(time) + kNames[std::clamp(level, 0, 7)] + ": ";
  }
  // A message is always one line: line breaks in it become spaces.
  for (const char c : message) line += c == '\n' || c == '\r' ? ' ' : c;
  line += '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace instar::device

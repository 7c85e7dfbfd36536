#include "device-client/process/log.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string>

#include "core/base/text.hpp"

namespace instar::device {
namespace {

std::string_view level_name(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::error: return "error";
    case LogLevel::warning: return "warning";
    case LogLevel::notice: return "notice";
    case LogLevel::info: return "info";
    case LogLevel::debug: return "debug";
  }
  return {};
}

}  // namespace

bool Log::stderr_is_journal() {
  return std::getenv("JOURNAL_STREAM") != nullptr;
}

void Log::write(LogLevel level, std::string_view message) const {
  if (!level_max_ || level > *level_max_) return;
  std::string line;
  if (journal_) {
    line = "<" + std::to_string(static_cast<int>(level)) + ">";
  } else {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    char time[32];
    std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ ", &utc);
    line = time;
    line += level_name(level);
    line += ": ";
  }
  // A message is always one line: line breaks in it become spaces. What a program or a broker said may hold anything.
  std::string spaced(message);
  std::ranges::replace_if(
      spaced, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  line += clean_line(spaced);
  line += '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace instar::device

// Writes lines to stderr, for people or for journald.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/log_level.hpp"

namespace instar::device {

class Log {
 public:
  // Messages of levels above `level_max` are not written; without one, none is. With `journal`, lines start with "<N>"
  // (sd-daemon(3)), otherwise with the time and the name of the level.
  Log(std::optional<LogLevel> level_max, bool journal) : level_max_(level_max), journal_(journal) {}
  // True when stderr is connected to the journal: systemd says so in JOURNAL_STREAM.
  [[nodiscard]] static bool stderr_is_journal();

  void write(LogLevel level, std::string_view message) const;
  void error(std::string_view message) const { write(LogLevel::error, message); }
  void warning(std::string_view message) const { write(LogLevel::warning, message); }
  void notice(std::string_view message) const { write(LogLevel::notice, message); }
  void info(std::string_view message) const { write(LogLevel::info, message); }
  void debug(std::string_view message) const { write(LogLevel::debug, message); }

 private:
  std::optional<LogLevel> level_max_;
  bool journal_;
};

}  // namespace instar::device

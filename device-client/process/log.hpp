// Writes lines to stderr, for people or for journald.
#pragma once

#include <string_view>

namespace instar::device {

class Log {
 public:
  // `level_max` is a syslog number: messages of higher levels are not written. With `journal`, lines start with "<N>"
  // (sd-daemon(3)), otherwise with the time and the name of the level.
  Log(int level_max, bool journal) : level_max_(level_max), journal_(journal) {}
  // True when stderr is connected to the journal: systemd says so in JOURNAL_STREAM.
  [[nodiscard]] static bool stderr_is_journal();

  void write(int level, std::string_view message) const;
  void error(std::string_view message) const { write(3, message); }
  void warning(std::string_view message) const { write(4, message); }
  void notice(std::string_view message) const { write(5, message); }
  void info(std::string_view message) const { write(6, message); }
  void debug(std::string_view message) const { write(7, message); }

 private:
  int level_max_;
  bool journal_;
};

}  // namespace instar::device

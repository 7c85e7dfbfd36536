// What fits a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace instar::publisher {

struct ScreenSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
  friend bool operator==(const ScreenSize&, const ScreenSize&) = default;
};

// Of the terminal that stdout is, as it is now; where that does not say, by COLUMNS and LINES, else 80 x 24.
[[nodiscard]] ScreenSize screen_size();
// Whether a cursor can be moved on the terminal named by TERM: one is named, and not `dumb`.
[[nodiscard]] bool can_move_cursor();

// `text` in lines of at most `columns` characters, broken at blanks; a word that is longer is broken where it must be.
// Lines after the first begin with `indent` blanks. At most `lines_max` lines: what is left out is shown by "…".
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, std::size_t columns, std::size_t indent = 0,
                                            std::size_t lines_max = SIZE_MAX);
// The beginning of `text`, with "…" at its end when it has more than `columns` characters.
[[nodiscard]] std::string cut_to(std::string_view text, std::size_t columns);

// A part of a screen. Where there is no room for all, the parts of the lowest rank stay.
struct ScreenPart {
  int rank = 0;
  std::vector<std::string> lines;
};
// The parts in their order, an empty line between two, in at most `rows` lines; a part that is cut says how many of its
// lines are missing. Each line ends with '\n'.
[[nodiscard]] std::string fit(const std::vector<ScreenPart>& parts, std::size_t rows);

// Text on a terminal that is drawn again in its place.
class LiveScreen {
 public:
  explicit LiveScreen(std::ostream& out) : out_(out) {}
  // `text`: lines that fit `size`. A terminal that has changed its size shows what was drawn before in another way, so
  // then all is wiped.
  void draw(const std::string& text, ScreenSize size);
  [[nodiscard]] ScreenSize size() const noexcept { return size_; }

 private:
  std::ostream& out_;
  ScreenSize size_;
  std::size_t lines_drawn_ = 0;
};

}  // namespace instar::publisher

#include "publisher/console/screen.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <numeric>

#include "publisher/console/table.hpp"

namespace instar::publisher {
namespace {

constexpr std::string_view kCutMark = "…";
// Past these a terminal is no terminal, and a smaller one shows nothing of use.
constexpr std::size_t kLongestSide = 10'000;
constexpr std::size_t kFewestColumns = 10;
constexpr std::size_t kFewestRows = 3;

// The number in an environment variable; 0: none.
std::size_t side_in(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return 0;
  const std::string_view value(text);
  std::size_t number = 0;
  const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  return error == std::errc{} && stop == value.data() + value.size() ? number : 0;
}

// Bytes of the first `columns` characters.
std::size_t bytes_of(std::string_view text, std::size_t columns) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xC0U) != 0x80U;
    if (begins && columns-- == 0) break;
    ++at;
  }
  return at;
}

}  // namespace

ScreenSize screen_size() {
  ScreenSize size;
  winsize window{};
  const bool asked = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0;
  const auto choose = [](std::size_t found, const char* name, std::size_t otherwise, std::size_t least) {
    if (found == 0) found = side_in(name);
    return found == 0 ? otherwise : std::clamp(found, least, kLongestSide);
  };
  size.columns = choose(asked ? window.ws_col : 0, "COLUMNS", size.columns, kFewestColumns);
  size.rows = choose(asked ? window.ws_row : 0, "LINES", size.rows, kFewestRows);
  return size;
}

bool can_move_cursor() {
  const char* name = std::getenv("TERM");
  return name != nullptr && *name != '\0' && std::string_view(name) != "dumb";
}

std::string cut_to(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  return std::string(text.substr(0, bytes_of(text, columns - 1))) + std::string(kCutMark);
}

std::vector<std::string> wrap(std::string_view text, std::size_t columns, std::size_t indent, std::size_t lines_max) {
  columns = std::max<std::size_t>(columns, 1);
  indent = std::min(indent, columns - 1);
  std::vector<std::string> lines;
  while (true) {
    const std::string margin(lines.empty() ? 0 : indent, ' ');
    const std::size_t room = columns - margin.size();
    if (display_width(text) <= room || lines.size() + 1 >= lines_max) {
      lines.push_back(margin + cut_to(text, room));
      return lines;
    }
    // The last blank after which the line still has room, else in the middle of the word.
    const auto most = bytes_of(text, room);
    auto end = text[most] == ' ' ? most : text.substr(0, most).rfind(' ');
    if (end == std::string_view::npos || end == 0) end = most;
    auto line = text.substr(0, end);
    while (line.ends_with(' ')) line.remove_suffix(1);
    lines.push_back(margin + std::string(line));
    text.remove_prefix(end);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
}

std::string fit(const std::vector<ScreenPart>& parts, std::size_t rows) {
  // By rank: how many lines of each part there is room for.
  std::vector<std::size_t> order(parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return parts[i].rank; });
  std::vector<std::size_t> shown(parts.size());
  bool first = true;
  for (const auto i : order) {
    const std::size_t gap = first ? 0 : 1;
    if (parts[i].lines.empty() || rows <= gap) continue;
    shown[i] = std::min(parts[i].lines.size(), rows - gap);
    rows -= shown[i] + gap;
    first = false;
  }
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (shown[i] == 0) continue;
    if (!out.empty()) out += '\n';
    const auto& lines = parts[i].lines;
    // One line of those that there is room for says how many there is none for.
    const std::size_t whole = shown[i] == lines.size() ? shown[i] : shown[i] - 1;
    for (std::size_t line = 0; line < whole; ++line) out += lines[line] + '\n';
    if (whole < shown[i]) out += std::string(kCutMark) + " " + std::to_string(lines.size() - whole) + " more\n";
  }
  return out;
}

void LiveScreen::draw(const std::string& text, ScreenSize size) {
  if (lines_drawn_ > 0) {
    if (size == size_) {
      out_ << "\x1b[" << lines_drawn_ << "A\x1b[J";
    } else {
      out_ << "\x1b[2J\x1b[H";
    }
  }
  out_ << text << std::flush;
  lines_drawn_ = static_cast<std::size_t>(std::ranges::count(text, '\n'));
  size_ = size;
}

}  // namespace instar::publisher

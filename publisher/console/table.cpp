#include "publisher/console/table.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/text.hpp"

namespace instar::publisher {
namespace {

std::string pad(const std::string& text, std::size_t width, Align align) {
  const std::size_t have = display_width(text);
  const std::string blanks(width > have ? width - have : 0, ' ');
  return align == Align::right ? blanks + text : text + blanks;
}

void append_line(std::string& out, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  out += line;
  out += '\n';
}

}  // namespace

void Table::column(std::string title, Align align) {
  INSTAR_ASSERT(rows_.empty());
  columns_.push_back({std::move(title), align});
}

void Table::row(std::vector<std::string> cells) {
  INSTAR_ASSERT(cells.size() == columns_.size());
  for (auto& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::str() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, display_width(row[i]));
    widths.push_back(width);
  }
  std::string out;
  const auto line = [&](const auto& cell_of) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i)
      text += (i == 0 ? "" : "  ") + pad(cell_of(i), widths[i], columns_[i].align);
    append_line(out, std::move(text));
  };
  line([&](std::size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) line([&](std::size_t i) { return row[i]; });
  return out;
}

void Fields::add(std::string label, std::string value) {
  fields_.emplace_back(std::move(label), printable(value));
}

std::string Fields::str() const {
  std::size_t width = 0;
  for (const auto& [label, value] : fields_) width = std::max(width, display_width(label));
  std::string out;
  for (const auto& [label, value] : fields_) {
    append_line(out, label + ":" + std::string(width - display_width(label) + 2, ' ') + value);
  }
  return out;
}

std::size_t display_width(std::string_view text) noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string printable(std::string_view text) {
  return clean_line(text);
}

}  // namespace instar::publisher

// Aligned columns for people.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace instar::publisher {

enum class Align { left, right };

class Table {
 public:
  void column(std::string title, Align align = Align::left);
  // One cell for each column. Names come from devices: what printable() takes out is shown as '?'.
  void row(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  // The title line and the rows. Columns are two blanks apart, each line ends with '\n' and has no trailing blanks.
  [[nodiscard]] std::string str() const;

 private:
  struct Column {
    std::string title;
    Align align;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "label:  value" lines, labels padded to one width.
class Fields {
 public:
  void add(std::string label, std::string value);
  [[nodiscard]] std::string str() const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// Characters that a terminal shows for UTF-8 `text`, taking each code point as one.
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;
// `text` on one line, with '?' for each byte that is not clean (core/base/text.hpp), so that it shows what it says and
// cannot move a terminal's cursor or change its colour.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace instar::publisher

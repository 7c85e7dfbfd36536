// One flat JSON object on one line: `instar-lxc` answers in it, and the daemon prints it for other programs. This is no
// JSON library: values are strings, integers and booleans without nesting, and nothing more is needed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

namespace instar::device {

// `text` with quotes and escapes. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_quote(std::string_view text);

class JsonLine {
 public:
  JsonLine& add(std::string_view key, std::string_view value);
  JsonLine& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  JsonLine& add(std::string_view key, std::int64_t value);
  JsonLine& add(std::string_view key, bool value);
  // `json` is inserted as it is.
  JsonLine& add_raw(std::string_view key, std::string_view json);
  [[nodiscard]] std::string str() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

class JsonFields {
 public:
  // Errors: malformed (not one flat object, a key twice), too_large (over 64 KiB).
  [[nodiscard]] static Result<JsonFields> parse(std::string_view line);
  [[nodiscard]] std::optional<std::string> text(std::string_view key) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key) const;
  // False when absent.
  [[nodiscard]] bool flag(std::string_view key) const;

 private:
  enum class Kind : std::uint8_t { text, integer, boolean, null };
  struct Value {
    Kind kind = Kind::null;
    std::string text;
    std::int64_t integer = 0;
  };
  struct Parser;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace instar::device

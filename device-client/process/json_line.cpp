#include "device-client/process/json_line.hpp"

#include <charconv>

#include "core/base/bytes.hpp"
#include "core/base/limits.hpp"

namespace instar::device {
namespace {

// Length of the UTF-8 sequence at the start of `text`; 0 if it is none (overlong, surrogate, cut short, out of range).
std::size_t utf8_length(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((at(i) & 0xc0U) != 0x80) return 0;
  if ((lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) > 0x9f)) return 0;
  if ((lead == 0xf0 && at(1) < 0x90) || (lead == 0xf4 && at(1) > 0x8f)) return 0;
  return length;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0U | code >> 6U);
    put(0x80U | (code & 0x3fU));
  } else {
    put(0xe0U | code >> 12U);
    put(0x80U | (code >> 6U & 0x3fU));
    put(0x80U | (code & 0x3fU));
  }
}

}  // namespace

std::string json_quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char c = text[0];
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      const std::uint8_t byte = static_cast<std::uint8_t>(c);
      out += "\\u00" + to_hex({&byte, 1});
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + "\"";
}

JsonLine& JsonLine::add_raw(std::string_view key, std::string_view json) {
  if (!text_.empty()) text_ += ",";
  text_ += json_quote(key) + ":";
  text_ += json;
  return *this;
}
JsonLine& JsonLine::add(std::string_view key, std::string_view value) {
  return add_raw(key, json_quote(value));
}
JsonLine& JsonLine::add(std::string_view key, std::int64_t value) {
  return add_raw(key, std::to_string(value));
}
JsonLine& JsonLine::add(std::string_view key, bool value) {
  return add_raw(key, value ? "true" : "false");
}

struct JsonFields::Parser {
  std::string_view rest;

  void skip_space() {
    while (!rest.empty() && (rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r' || rest[0] == '\n'))
      rest.remove_prefix(1);
  }
  bool eat(char c) {
    skip_space();
    if (rest.empty() || rest[0] != c) return false;
    rest.remove_prefix(1);
    return true;
  }
  bool eat_word(std::string_view word) {
    if (!rest.starts_with(word)) return false;
    rest.remove_prefix(word.size());
    return true;
  }
  bool escape(std::string& out) {
    if (rest.empty()) return false;
    const char c = rest[0];
    rest.remove_prefix(1);
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    if (const auto at = kFrom.find(c); at != std::string_view::npos) {
      out += kTo[at];
      return true;
    }
    Bytes code;
    if (c != 'u' || rest.size() < 4 || !from_hex(rest.substr(0, 4), code)) return false;
    rest.remove_prefix(4);
    const std::uint32_t value = static_cast<std::uint32_t>(code[0]) << 8U | code[1];
    append_utf8(out, value >= 0xd800 && value < 0xe000 ? 0xfffd : value);
    return true;
  }
  bool string(std::string& out) {
    if (!eat('"')) return false;
    while (!rest.empty() && rest[0] != '"') {
      const char c = rest[0];
      if (static_cast<unsigned char>(c) < 0x20) return false;
      rest.remove_prefix(1);
      if (c != '\\')
        out += c;
      else if (!escape(out))
        return false;
    }
    return eat('"');
  }
  bool value(Value& out) {
    skip_space();
    if (rest.starts_with('"')) {
      out.kind = Kind::text;
      return string(out.text);
    }
    if (eat_word("null")) return true;
    out.kind = Kind::boolean;
    if (eat_word("false")) return true;
    out.integer = 1;
    if (eat_word("true")) return true;
    out.kind = Kind::integer;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), out.integer);
    if (error != std::errc()) return false;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return true;
  }
};

Result<JsonFields> JsonFields::parse(std::string_view line) {
  if (line.size() > limits::kJsonLineBytesMax)
    return fail(Code::too_large, "a JSON line of " + std::to_string(line.size()) + " bytes");
  const auto malformed = [&] {
    return fail(Code::malformed, "not a flat JSON object: " + std::string(line.substr(0, 200)));
  };
  JsonFields fields;
  Parser parser{line};
  if (!parser.eat('{')) return malformed();
  bool first = true;
  while (!parser.eat('}')) {
    std::string key;
    Value value;
    if (!first && !parser.eat(',')) return malformed();
    if (!parser.string(key) || !parser.eat(':') || !parser.value(value)) return malformed();
    if (!fields.values_.emplace(std::move(key), std::move(value)).second) return malformed();
    first = false;
  }
  parser.skip_space();
  if (!parser.rest.empty()) return malformed();
  return fields;
}

std::optional<std::string> JsonFields::text(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end() || found->second.kind != Kind::text) return std::nullopt;
  return found->second.text;
}
std::optional<std::int64_t> JsonFields::integer(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end() || found->second.kind != Kind::integer) return std::nullopt;
  return found->second.integer;
}
bool JsonFields::flag(std::string_view key) const {
  const auto found = values_.find(key);
  return found != values_.end() && found->second.kind == Kind::boolean && found->second.integer == 1;
}

}  // namespace instar::device

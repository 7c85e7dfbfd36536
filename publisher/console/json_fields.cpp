#include "publisher/console/json_fields.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/limits.hpp"
#include "json/read.hpp"
#include "publisher/console/similar.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

// Bytes of an unknown key that a message shows.
constexpr std::size_t kKeyBytesShown = 64;

const Json* member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view where) {
  auto value = json::read(text);
  if (!value) return fail(value.error().code, std::string(where) + " " + value.error().message);
  return value;
}

Result<JsonObject> JsonObject::of(const Json& value, std::string where) {
  if (!value.is_object()) return fail(Code::malformed, where + " must be a JSON object");
  return JsonObject(value, std::move(where));
}

Result<JsonObject> JsonObject::of(const Json& value, std::string where, std::initializer_list<std::string_view> keys) {
  INSTAR_TRY(auto object, of(value, std::move(where)));
  for (const auto& [key, item] : value.items()) {
    if (std::ranges::find(keys, key) != keys.end()) continue;
    const auto meant = most_similar(key, {keys.begin(), keys.end()});
    std::string known;
    for (const auto name : keys) known += (known.empty() ? "" : ", ") + std::string(name);
    return fail(Code::malformed, object.where_ + ": unknown key '" + key.substr(0, kKeyBytesShown) + "'" +
                                     (meant.empty() ? "" : ", did you mean '" + meant + "'?") +
                                     " (known here: " + known + ")");
  }
  return object;
}

std::string JsonObject::where(std::string_view key) const {
  return where_ + ": " + std::string(key);
}

const Json* JsonObject::find(std::string_view key) const {
  return member(*value_, key);
}

Result<std::string> JsonObject::text(std::string_view key) {
  const Json* value = find(key);
  if (value == nullptr) return fail(Code::malformed, where(key) + " is missing");
  if (!value->is_string()) return fail(Code::malformed, where(key) + " must be a text");
  return value->get<std::string>();
}

Result<std::string> JsonObject::text_or(std::string_view key, std::string fallback) {
  if (find(key) == nullptr) return fallback;
  return text(key);
}

Result<std::uint64_t> JsonObject::number_or(std::string_view key, std::uint64_t fallback, std::uint64_t max) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number_unsigned() || value->get<std::uint64_t>() > max) {
    return fail(Code::malformed, where(key) + " must be a whole number from 0 to " + std::to_string(max));
  }
  return value->get<std::uint64_t>();
}

Result<std::uint32_t> JsonObject::number32_or(std::string_view key, std::uint32_t fallback) {
  INSTAR_TRY(const auto value, number_or(key, fallback, std::numeric_limits<std::uint32_t>::max()));
  return static_cast<std::uint32_t>(value);
}

Result<bool> JsonObject::flag_or(std::string_view key, bool fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return fail(Code::malformed, where(key) + " must be true or false");
  return value->get<bool>();
}

Result<std::vector<std::string>> JsonObject::texts(std::string_view key) {
  const Json* value = find(key);
  std::vector<std::string> all;
  if (value == nullptr) return all;
  if (!value->is_array()) return fail(Code::malformed, where(key) + " must be an array of texts");
  for (const auto& item : *value) {
    if (!item.is_string()) return fail(Code::malformed, where(key) + " must hold texts only");
    all.push_back(item.get<std::string>());
  }
  return all;
}

Result<std::int64_t> JsonObject::duration_ms_or(std::string_view key, std::int64_t fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_number_unsigned() && value->get<std::uint64_t>() < std::uint64_t{1} << 52)
    return value->get<std::int64_t>();
  if (!value->is_string())
    return fail(Code::malformed, where(key) + " must be a duration like \"10s\", or milliseconds");
  auto parsed = parse_duration_ms(value->get<std::string>());
  if (!parsed) return fail(with_context(parsed.error(), where(key)));
  return parsed;
}

Result<std::uint64_t> JsonObject::size_or(std::string_view key, std::uint64_t fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_number_unsigned()) return value->get<std::uint64_t>();
  if (!value->is_string()) return fail(Code::malformed, where(key) + " must be a size like \"64Mi\", or bytes");
  auto parsed = parse_size(value->get<std::string>());
  if (!parsed) return fail(with_context(parsed.error(), where(key)));
  return parsed;
}

std::string get_text(const Json& object, std::string_view key, std::string_view fallback) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string(fallback);
}

std::vector<std::string> get_texts(const Json& object, std::string_view key) {
  std::vector<std::string> texts;
  for (const auto& item : get(object, key)) {
    if (item.is_string()) texts.push_back(item.get<std::string>());
  }
  return texts;
}

std::uint64_t get_number(const Json& object, std::string_view key, std::uint64_t fallback) {
  const Json* value = member(object, key);
  if (value == nullptr || !value->is_number_integer()) return fallback;
  if (value->is_number_unsigned()) return value->get<std::uint64_t>();
  const auto number = value->get<std::int64_t>();
  return number < 0 ? fallback : static_cast<std::uint64_t>(number);
}

WallMs get_time(const Json& object, std::string_view key) {
  const auto most = static_cast<std::uint64_t>(limits::kWallMsMax);
  return {static_cast<std::int64_t>(std::min(get_number(object, key), most))};
}

bool get_flag(const Json& object, std::string_view key, bool fallback) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_boolean() ? value->get<bool>() : fallback;
}

const Json& get(const Json& object, std::string_view key) {
  static const Json kEmpty = Json::object();
  const Json* value = member(object, key);
  return value != nullptr && value->is_structured() ? *value : kEmpty;
}

}  // namespace instar::publisher

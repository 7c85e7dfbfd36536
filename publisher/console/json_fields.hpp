// Reads JSON without exceptions. JsonObject is for JSON that people write: every error names the place, and where the
// keys are given an unknown one is an error. The get_* functions are for answers of the broker: a missing field has a
// default, and an unknown one is ignored.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "publisher/console/console.hpp"

namespace instar::publisher {

// Errors: those of json::read(), with `where` in front.
[[nodiscard]] Result<Json> parse_json(std::string_view text, std::string_view where);

class JsonObject {
 public:
  // `value` must outlive this object. Each message starts with `where`, such as "release.json: containers[0]".
  [[nodiscard]] static Result<JsonObject> of(const Json& value, std::string where);
  // An object that has none but these keys. Any other is the first error, before one that is missing: a misspelt key
  // must not be ignored silently, and is named with the one that was meant.
  [[nodiscard]] static Result<JsonObject> of(const Json& value, std::string where,
                                             std::initializer_list<std::string_view> keys);

  // nullptr when absent or null.
  [[nodiscard]] const Json* find(std::string_view key) const;
  [[nodiscard]] Result<std::string> text(std::string_view key);
  [[nodiscard]] Result<std::string> text_or(std::string_view key, std::string fallback);
  [[nodiscard]] Result<std::uint64_t> number_or(std::string_view key, std::uint64_t fallback, std::uint64_t max);
  [[nodiscard]] Result<std::uint32_t> number32_or(std::string_view key, std::uint32_t fallback);
  [[nodiscard]] Result<bool> flag_or(std::string_view key, bool fallback);
  // An array of strings; absent = empty.
  [[nodiscard]] Result<std::vector<std::string>> texts(std::string_view key);
  // "10s" or a number of milliseconds; "64Mi" or a number of bytes.
  [[nodiscard]] Result<std::int64_t> duration_ms_or(std::string_view key, std::int64_t fallback);
  [[nodiscard]] Result<std::uint64_t> size_or(std::string_view key, std::uint64_t fallback);
  [[nodiscard]] std::string where(std::string_view key) const;

 private:
  JsonObject(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}
  const Json* value_;
  std::string where_;
};

[[nodiscard]] std::string get_text(const Json& object, std::string_view key, std::string_view fallback = {});
// The texts of the array under `key`.
[[nodiscard]] std::vector<std::string> get_texts(const Json& object, std::string_view key);
[[nodiscard]] std::uint64_t get_number(const Json& object, std::string_view key, std::uint64_t fallback = 0);
// Milliseconds since 1970; 0 when absent.
[[nodiscard]] WallMs get_time(const Json& object, std::string_view key);
[[nodiscard]] bool get_flag(const Json& object, std::string_view key, bool fallback = false);
// The object or array under `key`, or an empty object.
[[nodiscard]] const Json& get(const Json& object, std::string_view key);

}  // namespace instar::publisher

#include "json/read.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/base/text.hpp"

namespace instar::json {
namespace {

// Builds the value from the parser's events. Each function returns false to end the parse; then there is an error.
class Builder {
 public:
  explicit Builder(std::string_view text) : text_(text) {}

  bool null() { return add(Json()); }
  bool boolean(bool value) { return add(Json(value)); }
  bool number_integer(std::int64_t value) { return add(Json(value)); }
  bool number_unsigned(std::uint64_t value) { return add(Json(value)); }
  bool number_float(double value, const std::string& /*digits*/) { return add(Json(value)); }
  bool string(std::string& value) { return add(Json(std::move(value))); }
  bool binary(Json::binary_t& /*value*/) { return refuse(Code::malformed, "is not JSON"); }
  bool start_object(std::size_t /*size*/) { return open(Json::object()); }
  bool start_array(std::size_t /*size*/) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    INSTAR_ASSERT(!open_.empty());
    if (!open_.back().keys.insert(name).second)
      return refuse(Code::malformed, "has the key '" + clean_text(name, limits::kNameBytesMax) + "' twice");
    key_ = std::move(name);
    return true;
  }

  // nlohmann's exception is made, but not thrown. Number 406: no double holds the number.
  bool parse_error(std::size_t byte, const std::string& /*token*/, const Json::exception& error) {
    constexpr int kNumberOutOfRange = 406;
    const std::string_view what = error.id == kNumberOutOfRange ? "has a number out of range" : "is not valid JSON";
    return refuse(Code::malformed, std::string(what) + place_of(byte));
  }

  Result<Json> finish(bool parsed) && {
    INSTAR_ASSERT(parsed != error_.has_value());
    if (error_) return fail(std::move(*error_));
    return std::move(root_);
  }

 private:
  struct Open {
    Json* value;
    std::set<std::string, std::less<>> keys;
  };

  // Where `value` now is: it does not move before its container has the next one.
  Json* put(Json value) {
    if (open_.empty()) return &(root_ = std::move(value));
    Json& container = *open_.back().value;
    if (container.is_array()) {
      container.push_back(std::move(value));
      return &container.back();
    }
    // The key is new, and the library's own functions would look through all the others once more.
    auto& members = container.get_ref<Json::object_t&>();
    members.emplace_back(std::move(key_), std::move(value));
    return &members.back().second;
  }

  bool add(Json value) {
    put(std::move(value));
    return true;
  }

  bool open(Json value) {
    if (open_.size() >= limits::kJsonDepthMax)
      return refuse(Code::too_large, "has more than " + std::to_string(limits::kJsonDepthMax) + " levels");
    open_.push_back({put(std::move(value)), {}});
    return true;
  }

  bool close() {
    INSTAR_ASSERT(!open_.empty());
    open_.pop_back();
    return true;
  }

  bool refuse(Code code, std::string what) {
    error_ = Error{code, std::move(what)};
    return false;
  }

  [[nodiscard]] std::string place_of(std::size_t byte) const {
    const auto before = text_.substr(0, byte);
    const auto line = 1 + std::ranges::count(before, '\n');
    const auto last = before.rfind('\n');
    const auto column = last == std::string_view::npos ? before.size() : before.size() - last - 1;
    return " at line " + std::to_string(line) + ", column " + std::to_string(column);
  }

  std::string_view text_;
  Json root_;
  std::vector<Open> open_;
  std::string key_;
  std::optional<Error> error_;
};

}  // namespace

Result<Json> read(std::string_view text) {
  Builder builder(text);
  const bool parsed = Json::sax_parse(text, &builder);
  return std::move(builder).finish(parsed);
}

}  // namespace instar::json

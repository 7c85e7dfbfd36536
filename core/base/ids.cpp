#include "core/base/ids.hpp"

#include <algorithm>

#include "core/base/limits.hpp"

namespace instar {
namespace {

bool is_level_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool is_level(std::string_view text) noexcept {
  return !text.empty() && text.size() <= limits::kNameBytesMax && std::ranges::all_of(text, is_level_char);
}

}  // namespace

Result<DeviceId> DeviceId::parse(std::string_view text) {
  if (!is_level(text)) {
    return fail(Code::invalid_argument,
                "device id '" + std::string(text.substr(0, 80)) +
                    "' must be 1 to 64 of A-Z a-z 0-9 _ - (it is a topic level and the MQTT client id)");
  }
  DeviceId id;
  id.text_ = text;
  return id;
}

Result<ClientId> ClientId::parse(std::string_view text) {
  if (!is_level(text)) {
    return fail(Code::invalid_argument, "client id '" + std::string(text.substr(0, 80)) +
                                            "' must be 1 to 64 of A-Z a-z 0-9 _ - (it is a topic level)");
  }
  ClientId id;
  id.text_ = text;
  return id;
}

Result<GroupPath> GroupPath::parse(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::invalid_argument,
                "group '" + std::string(text.substr(0, 160)) +
                    "' must be 1 to 4 levels of A-Z a-z 0-9 _ - joined by '/', like plant-7/line-a");
  };
  if (text.empty() || text.size() > limits::kGroupBytesMax) return bad();
  std::size_t levels = 0;
  std::string_view rest = text;
  while (true) {
    const auto slash = rest.find('/');
    if (!is_level(rest.substr(0, slash)) || ++levels > limits::kGroupLevelsMax) return bad();
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  GroupPath group;
  group.text_ = text;
  return group;
}

std::vector<GroupPath> GroupPath::with_parents() const {
  std::vector<GroupPath> all;
  std::string_view rest = text_;
  while (!rest.empty()) {
    GroupPath group;
    group.text_ = rest;
    all.push_back(std::move(group));
    const auto slash = rest.rfind('/');
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(0, slash);
  }
  return all;
}

bool GroupPath::covers(const GroupPath& other) const noexcept {
  if (text_.empty() || !other.text_.starts_with(text_)) return false;
  return other.text_.size() == text_.size() || other.text_[text_.size()] == '/';
}

bool GroupPath::matches(std::string_view filter) const noexcept {
  if (filter == "#") return true;
  if (filter.ends_with("/#")) {
    filter.remove_suffix(2);
    return text_ == filter ||
           (text_.size() > filter.size() && text_.starts_with(filter) && text_[filter.size()] == '/');
  }
  return text_ == filter;
}

bool is_product(std::string_view text) noexcept {
  return is_level(text);
}

bool is_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= limits::kNameBytesMax && text.front() != '.' &&
         std::ranges::all_of(text, [](char c) { return is_level_char(c) || c == '.'; });
}

}  // namespace instar

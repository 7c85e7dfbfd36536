#include "publisher/archive/image_users.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "publisher/archive/merged_tree.hpp"

namespace instar::publisher {
namespace {

using Parts = std::vector<std::string_view>;

Parts split_at(std::string_view text, char separator) {
  Parts parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<std::uint32_t> id_number(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error == std::errc{} && end == text.data() + text.size() && !text.empty();
  if (!is_number || number == std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return number;
}

// The first line of passwd(5) or group(5) of that name, or of that number.
std::optional<Parts> line_of(std::string_view file, std::string_view name, std::size_t fields) {
  const auto number = id_number(name);
  for (const auto line : split_at(file, '\n')) {
    auto parts = split_at(line, ':');
    if (parts.size() < fields) continue;
    if (number ? id_number(parts[2]) == number : parts[0] == name) return parts;
  }
  return std::nullopt;
}

constexpr std::size_t kPasswdFields = 7;
constexpr std::size_t kGroupFields = 4;

void add_more_groups(std::string_view file, std::string_view name, ImageUser& user) {
  for (const auto line : split_at(file, '\n')) {
    const auto parts = split_at(line, ':');
    if (parts.size() < kGroupFields || id_number(parts[2]) == user.gid) continue;
    const auto members = split_at(parts[3], ',');
    if (std::ranges::find(members, name) != members.end()) user.more_groups.emplace_back(parts[0]);
  }
}

}  // namespace

Result<ImageUser> find_image_user(std::string_view text, std::string_view passwd, std::string_view group) {
  ImageUser user;
  const auto colon = text.find(':');
  const std::string_view name = text.empty() || colon == 0 ? "0" : text.substr(0, colon);
  const auto line = line_of(passwd, name, kPasswdFields);
  if (line) {
    const auto uid = id_number((*line)[2]);
    const auto gid = id_number((*line)[3]);
    if (!uid || !gid)
      return fail(Code::malformed, "the line of '" + shown_name(name) + "' in its /etc/passwd has no numbers");
    user.uid = *uid;
    user.gid = *gid;
    if (!(*line)[5].empty()) user.home = (*line)[5];
  } else if (const auto number = id_number(name)) {
    user.uid = *number;
  } else {
    return fail(Code::refused, "its config runs it as the user '" + shown_name(name) +
                                   "', who is not in its /etc/passwd: give USER in the image as a number");
  }
  if (colon == std::string_view::npos) {
    if (line) add_more_groups(group, (*line)[0], user);
    return user;
  }
  const auto group_name = text.substr(colon + 1);
  if (const auto found = line_of(group, group_name, kGroupFields)) {
    const auto gid = id_number((*found)[2]);
    if (!gid)
      return fail(Code::malformed, "the line of '" + shown_name(group_name) + "' in its /etc/group has no number");
    user.gid = *gid;
  } else if (const auto number = id_number(group_name)) {
    user.gid = *number;
  } else {
    return fail(Code::refused, "its config runs it in the group '" + shown_name(group_name) +
                                   "', which is not in its /etc/group: give USER in the image by numbers");
  }
  return user;
}

}  // namespace instar::publisher

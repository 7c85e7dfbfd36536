#include "publisher/broker/release_checks.hpp"

#include <algorithm>
#include <string_view>

#include "publisher/broker/rollout_outcome.hpp"
#include "publisher/console/similar.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

// How many names a message shows.
constexpr std::size_t kKnownNamesShown = 8;
constexpr std::size_t kUnfitDevicesNamed = 3;

std::vector<KnownFleet::Named> read_rows(const Json& rows, std::string_view key) {
  std::vector<KnownFleet::Named> out;
  for (const auto& row : rows) out.push_back({get_text(row, key), get_number(row, "devices")});
  return out;
}

// "plant-7 (214), plant-9 (12)".
std::string named_text(const std::vector<KnownFleet::Named>& rows) {
  std::string out;
  for (std::size_t i = 0; i < std::min(rows.size(), kKnownNamesShown); ++i)
    out += (i == 0 ? "" : ", ") + rows[i].name + " (" + std::to_string(rows[i].devices) + ")";
  if (rows.size() > kKnownNamesShown) out += " …";
  return out;
}

std::string meant_text(const std::string& name, const std::vector<KnownFleet::Named>& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows) names.push_back(row.name);
  const auto meant = most_similar(name, names);
  return meant.empty() || meant == name ? "" : "; did you mean " + meant + "?";
}

}  // namespace

KnownFleet read_known_fleet(const Json& answer) {
  return {read_rows(get(answer, "by_group"), "group"), read_rows(get(answer, "groups_known"), "group"),
          read_rows(get(answer, "products_known"), "product")};
}

ReleaseDoubt check_name(const std::vector<RolloutStatus>& rollouts, const std::string& product,
                        const std::string& release, const std::string& content) {
  const auto is_named_so = [&](const RolloutStatus& each) {
    return each.product == product && each.release == release;
  };
  const auto differs = [&](const RolloutStatus& each) { return is_named_so(each) && each.content != content; };
  auto before = std::ranges::find_if(rollouts, differs);
  const bool is_other = before != rollouts.end();
  if (!is_other) before = std::ranges::find_if(rollouts, is_named_so);
  if (before == rollouts.end()) return {};
  const auto what = "release " + release + " of " + product + " was published before, as rollout " + before->rollout +
                    " (" + state_text(*before) + ", groups " + joined(before->groups) + ")";
  if (!is_other) return {ReleaseDoubt::Kind::notice, what + ", with the same content"};
  return {ReleaseDoubt::Kind::question, what + ", with other content: give this one a name of its own (--release)"};
}

ReleaseDoubt check_groups(const KnownFleet& fleet, const std::string& product) {
  std::vector<std::string> empty;
  for (const auto& group : fleet.by_group) {
    if (group.devices == 0) empty.push_back(group.name);
  }
  if (empty.empty()) return {};
  const bool is_known = std::ranges::any_of(fleet.products, [&](const auto& row) { return row.name == product; });
  if (!is_known) {
    auto text = "no device of product " + product + " is known to the broker yet: the release goes to those that come";
    if (!fleet.products.empty())
      text += ". Products of the devices it knows: " + named_text(fleet.products) + meant_text(product, fleet.products);
    return {ReleaseDoubt::Kind::notice, std::move(text)};
  }
  auto text = "no known device of product " + product + " is in " + joined(empty);
  text += "; groups with " + product + ": " + named_text(fleet.groups);
  if (empty.size() == 1) text += meant_text(empty.front(), fleet.groups);
  return {ReleaseDoubt::Kind::question, std::move(text)};
}

std::string unfit_text(const UnfitDevices& unfit) {
  std::string text;
  for (const auto& [machine, names] : unfit.by_machine) {
    const auto named = std::min(names.size(), kUnfitDevicesNamed);
    const std::vector<std::string> some(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(named));
    text += (text.empty() ? "" : ", ") + std::string(unfit.is_part ? "at least " : "") +
            count_of(names.size(), "device") + (names.size() == 1 ? " is " : " are ") + machine + " (" +
            joined(some, ", ") + (named < names.size() ? ", …" : "") + ")";
  }
  return text;
}

}  // namespace instar::publisher

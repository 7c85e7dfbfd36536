#include "publisher/commands/listing.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include "publisher/broker/pages.hpp"
#include "publisher/broker/rollout_view.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/natural_order.hpp"
#include "publisher/console/similar.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

std::size_t first_row(const Paging& paging) {
  return paging.limit == 0 ? 0 : std::size_t{paging.limit} * (paging.page - 1);
}

Outcome<std::vector<std::string>> group_names(Session& session) {
  std::vector<std::string> groups;
  INSTAR_CHECK(for_each_row(session, "listGroups", "groups", Json::object(),
                            [&](const Json& row) { groups.push_back(get_text(row, "group")); }));
  return groups;
}

std::string what_was_meant(const std::string& group, const std::vector<std::string>& groups) {
  const auto meant = most_similar(group, groups);
  return meant.empty() ? "; `instar groups` shows the groups there are\n" : "; did you mean " + meant + "?\n";
}

}  // namespace

void add_paging(CLI::App& command, Paging& paging) {
  auto* limit = command.add_option("--limit", paging.limit, "Rows of a page [all]")->type_name("N");
  limit->check(CLI::Range(1, 1'000'000));
  command.add_option("--page", paging.page, "Which page [1]")
      ->check(CLI::Range(1, 1'000'000))
      ->needs(limit)
      ->type_name("N");
}

Page page_of(const Json& rows, const Paging& paging) {
  Page page;
  page.total = rows.size();
  const auto first = std::min(first_row(paging), page.total);
  const auto last = paging.limit == 0 ? page.total : std::min(first + paging.limit, page.total);
  for (std::size_t i = first; i < last; ++i) page.rows.push_back(rows[i]);
  return page;
}

std::string page_text(const Page& page, const Paging& paging) {
  if (page.rows.size() == page.total) return {};
  const auto first = first_row(paging);
  if (page.rows.empty()) {
    const auto pages = (page.total + paging.limit - 1) / paging.limit;
    return "page " + std::to_string(paging.page) + " is empty: there are " + std::to_string(pages) + " pages\n";
  }
  const auto last = first + page.rows.size();
  std::string text = std::to_string(first + 1) + "-" + std::to_string(last) + " of " + std::to_string(page.total);
  if (last < page.total) text += "; --page " + std::to_string(paging.page + 1) + " shows the next ones";
  return text + "\n";
}

void sort_naturally(Json& rows, std::string_view key) {
  std::vector<std::pair<std::string, Json>> named;
  for (auto& row : rows) {
    auto name = get_text(row, key);
    named.emplace_back(std::move(name), std::move(row));
  }
  std::ranges::stable_sort(named, natural_less, &std::pair<std::string, Json>::first);
  rows = Json::array();
  for (auto& [name, row] : named) rows.push_back(std::move(row));
}

Outcome<std::vector<std::string>> states_of(const std::vector<std::string>& given,
                                            const std::vector<std::string>& known) {
  std::vector<std::string> states;
  for (const auto& words : given) {
    std::istringstream list(words);
    for (std::string word; std::getline(list, word, ',');) {
      std::ranges::replace(word, '-', '_');
      if (!known.empty() && !is_one_of(word, known)) {
        const auto meant = most_similar(word, known);
        return fail(Exit::usage, Code::invalid_argument,
                    "there is no state '" + word + "'; " +
                        (meant.empty() ? "there are " + joined(known, ", ") : "did you mean " + meant + "?"));
      }
      states.push_back(word);
    }
  }
  return states;
}

bool is_one_of(std::string_view word, const std::vector<std::string>& words) {
  return std::ranges::find(words, word) != words.end();
}

std::vector<std::string> failed_steps() {
  return {"rolled_back", "refused", "failed"};
}

std::vector<std::string> all_steps() {
  return {kSteps.begin(), kSteps.end()};
}

bool DeviceFilter::takes(const Json& row) const {
  if (!product.empty() && get_text(row, "product") != product) return false;
  if (!release.empty() && get_text(get(row, "running"), "release") != release) return false;
  if ((offline || online) && get_flag(row, "online") != online) return false;
  return !degraded || !get_texts(row, "degraded").empty();
}

bool DeviceFilter::is_set() const noexcept {
  return !group.empty() || !product.empty() || !release.empty() || unknown || offline || online || degraded ||
         needs_steps();
}

void add_device_filter(CLI::App& command, DeviceFilter& filter) {
  command.add_option("--group,-g", filter.group, "Only those in this group or below it")->type_name("PATH");
  command.add_option("--product", filter.product, "Only those of this product")->type_name("NAME");
  command.add_option("--release", filter.release, "Only those that run this release")->type_name("NAME");
  auto* offline = command.add_flag("--offline", filter.offline, "Only those that are not connected");
  command.add_flag("--online", filter.online, "Only those that are connected")->excludes(offline);
  command.add_flag("--degraded", filter.degraded, "Only those on which something does not work as it should");
  command.add_flag("--failed", filter.failed,
                   "Only those that rolled back, refused or failed in the newest rollout that they took part in");
  command
      .add_option("--state", filter.states,
                  "Only those in this state of the newest rollout that they took part in; several by commas: waiting, "
                  "fetching, staging, trying, committed, rolled_back, refused, failed")
      ->type_name("STATE");
  command.add_flag("--unknown", filter.unknown, "Only those that have never taken part in a rollout");
}

Outcome<std::string> nobody_text(Session& session, const DeviceFilter& filter) {
  INSTAR_TRY(const auto version, session.request("getVersion"));
  const auto known = get_number(version, "devices");
  if (known == 0) return std::string();
  std::string text = "none of the " + count_of(known, "device") + " that the broker knows ";
  if (filter.group.empty()) return text + "is such a one\n";
  INSTAR_TRY(const auto groups, group_names(session));
  if (is_one_of(filter.group, groups)) return text + "is such a one in " + filter.group + "\n";
  return text + "is in group " + filter.group + what_was_meant(filter.group, groups);
}

Outcome<std::string> no_group_text(Session& session, const std::string& group) {
  INSTAR_TRY(const auto groups, group_names(session));
  return "no device and no release is in group " + group + what_was_meant(group, groups);
}

}  // namespace instar::publisher

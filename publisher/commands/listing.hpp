// What the commands that list things have in common: order, filters, pages.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "publisher/broker/session.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/failure.hpp"

namespace instar::publisher {

// --limit and --page.
struct Paging {
  std::uint32_t limit = 0;  // rows of a page; 0: all are on one
  std::uint32_t page = 1;
};
void add_paging(CLI::App& command, Paging& paging);

// The rows of the page. `total`: of all pages.
struct Page {
  Json rows = Json::array();
  std::size_t total = 0;
};
[[nodiscard]] Page page_of(const Json& rows, const Paging& paging);
// "1-50 of 2000; --page 2 shows the next ones", with a line feed; empty when all rows are shown.
[[nodiscard]] std::string page_text(const Page& page, const Paging& paging);

// By the text under `key`, numbers in it as people count.
void sort_naturally(Json& rows, std::string_view key);

// The words of --state: each may be one of several, with commas between. Errors: usage, for one that is none of
// `known`; it says which was meant.
[[nodiscard]] Outcome<std::vector<std::string>> states_of(const std::vector<std::string>& given,
                                                          const std::vector<std::string>& known);
[[nodiscard]] bool is_one_of(std::string_view word, const std::vector<std::string>& words);

// The steps of members that did not take a release: rolled_back, refused, failed.
[[nodiscard]] std::vector<std::string> failed_steps();
// All steps, in their order.
[[nodiscard]] std::vector<std::string> all_steps();

// Which devices to list of those that the broker knows.
struct DeviceFilter {
  std::string group;
  std::string product;
  std::string release;
  bool unknown = false;
  bool offline = false;
  bool online = false;
  bool degraded = false;
  bool failed = false;
  std::vector<std::string> states;

  // Besides what the broker chooses by: group and unknown.
  [[nodiscard]] bool takes(const Json& row) const;
  [[nodiscard]] bool needs_steps() const noexcept { return failed || !states.empty(); }
  [[nodiscard]] bool is_set() const noexcept;
};
void add_device_filter(CLI::App& command, DeviceFilter& filter);
// "there is no group X; did you mean Y?"
[[nodiscard]] Outcome<std::string> no_group_text(Session& session, const std::string& group);
// Why a filter found nobody: the broker knows other devices; a group that nobody is in may be misspelt. Empty: it knows
// none at all.
[[nodiscard]] Outcome<std::string> nobody_text(Session& session, const DeviceFilter& filter);

}  // namespace instar::publisher

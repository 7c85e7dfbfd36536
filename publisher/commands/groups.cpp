#include <utility>

#include "publisher/commands/commands.hpp"
#include "publisher/json_fields.hpp"
#include "publisher/rollout_view.hpp"
#include "publisher/session.hpp"

namespace instar::publisher {
namespace {

constexpr std::uint64_t kPageSize = 200;

struct Options {
  ConnectionOptions connection;
  std::string prefix;
};

Outcome<Exit> groups(const Options& options, const Console& console) {
  INSTAR_TRY(const auto session, connect(options.connection));
  Json rows = Json::array();
  while (true) {
    Json parameters{{"offset", rows.size()}, {"count", kPageSize}};
    if (!options.prefix.empty()) parameters["prefix"] = options.prefix;
    INSTAR_TRY(const auto data, session->request("listGroups", std::move(parameters)));
    const auto& page = get(data, "groups");
    for (const auto& row : page) rows.push_back(row);
    if (page.empty() || rows.size() >= get_number(data, "totalCount", rows.size())) break;
  }
  console.text() << groups_text(rows);
  console.document({{"groups", std::move(rows)}});
  return Exit::ok;
}

}  // namespace

void add_groups(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("groups", "See the groups as a tree: devices, what they run, the rollout in force");
  command->add_option("GROUP", options->prefix, "Only this group and those below it")->type_name("PATH");
  add_json(*command, context);
  add_connection(*command, options->connection);
  command->callback(
      [options, &context] { context.run = [options, &context] { return groups(*options, context.console); }; });
}

}  // namespace instar::publisher

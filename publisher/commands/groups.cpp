#include <utility>

#include "publisher/broker/pages.hpp"
#include "publisher/broker/rollout_view.hpp"
#include "publisher/broker/session.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/commands/listing.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher::groups_command {
namespace {

struct Options {
  ConnectionOptions connection;
  std::string prefix;
};

Outcome<Exit> groups(const Options& options, const Console& console) {
  INSTAR_TRY(const auto session, connect(options.connection));
  Json rows = Json::array();
  Json parameters = Json::object();
  if (!options.prefix.empty()) parameters["prefix"] = options.prefix;
  INSTAR_CHECK(
      for_each_row(*session, "listGroups", "groups", parameters, [&](const Json& row) { rows.push_back(row); }));
  if (rows.empty() && !options.prefix.empty()) {
    INSTAR_TRY(const auto text, no_group_text(*session, options.prefix));
    console.text() << text;
  } else {
    console.text() << groups_text(rows);
  }
  console.document({{"groups", std::move(rows)}});
  return Exit::ok;
}

}  // namespace

void add(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("groups", "See the groups as a tree: devices, what they run, the rollout in force");
  command->add_option("GROUP", options->prefix, "Only this group and those below it")->type_name("PATH");
  add_json(*command, context);
  add_connection(*command, options->connection);
  command->callback(
      [options, &context] { context.run = [options, &context] { return groups(*options, context.console); }; });
}

}  // namespace instar::publisher::groups_command

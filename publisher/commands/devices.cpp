#include <algorithm>
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
  std::string device;
  std::string group;
  std::string release;
};

Outcome<Exit> list(const Options& options, const Console& console) {
  INSTAR_TRY(const auto session, connect(options.connection));
  Json rows = Json::array();
  std::uint64_t offset = 0;
  while (true) {
    Json parameters{{"offset", offset}, {"count", kPageSize}, {"verbose", console.json}};
    if (!options.group.empty()) parameters["group"] = options.group;
    INSTAR_TRY(const auto data, session->request("listDevices", std::move(parameters)));
    const auto& page = get(data, "devices");
    for (const auto& row : page) {
      if (options.release.empty() || get_text(get(row, "running"), "release") == options.release) rows.push_back(row);
    }
    offset += page.size();
    if (page.empty() || offset >= get_number(data, "totalCount", offset)) break;
  }
  console.text() << devices_text(rows, wall_now());
  console.document({{"devices", std::move(rows)}});
  return Exit::ok;
}

Outcome<Exit> show(const Options& options, const Console& console) {
  INSTAR_TRY(const auto session, connect(options.connection));
  INSTAR_TRY(const auto device, session->request("getDevice", {{"device", options.device}}));
  console.text() << device_text(device, wall_now());
  console.document(device);
  return Exit::ok;
}

Outcome<Exit> forget(const Options& options, const Console& console) {
  INSTAR_TRY(const auto session, connect(options.connection));
  INSTAR_TRY(const auto data, session->request("forgetDevice", {{"device", options.device}}));
  console.text() << options.device << " is forgotten; the next key that it comes with is taken as its own\n";
  console.document({{"device", options.device}, {"forgotten", true}});
  return Exit::ok;
}

}  // namespace

void add_devices(CLI::App& app, Context& context) {
  auto* devices = app.add_subcommand("devices", "See the devices that the broker knows");
  devices->require_subcommand(1);

  const auto list_options = std::make_shared<Options>();
  auto* list_command = devices->add_subcommand("list", "List devices, what they run and when they were last heard");
  list_command->add_option("--group,-g", list_options->group, "Only those in this group or below it")->type_name("PATH");
  list_command->add_option("--release", list_options->release, "Only those that run this release")->type_name("NAME");
  add_json(*list_command, context);
  add_connection(*list_command, list_options->connection);
  list_command->callback(
      [list_options, &context] { context.run = [list_options, &context] { return list(*list_options, context.console); }; });

  const auto show_options = std::make_shared<Options>();
  auto* show_command = devices->add_subcommand("show", "Show one device and its last reports");
  show_command->add_option("DEVICE", show_options->device, "Its id")->required();
  add_json(*show_command, context);
  add_connection(*show_command, show_options->connection);
  show_command->callback(
      [show_options, &context] { context.run = [show_options, &context] { return show(*show_options, context.console); }; });

  const auto forget_options = std::make_shared<Options>();
  auto* forget_command =
      devices->add_subcommand("forget",
                              "Forget a device and the key that it came with\n\n"
                              "Needed when a device was set up anew and has another key: until then the broker refuses it.");
  forget_command->add_option("DEVICE", forget_options->device, "Its id")->required();
  add_json(*forget_command, context);
  add_connection(*forget_command, forget_options->connection);
  forget_command->callback(
      [forget_options, &context] { context.run = [forget_options, &context] { return forget(*forget_options, context.console); }; });
}

}  // namespace instar::publisher

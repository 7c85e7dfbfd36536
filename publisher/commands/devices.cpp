#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "core/wire/messages.hpp"
#include "files/files.hpp"
#include "publisher/broker/device_view.hpp"
#include "publisher/broker/next_release.hpp"
#include "publisher/broker/pages.hpp"
#include "publisher/broker/rollouts.hpp"
#include "publisher/broker/session.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/commands/listing.hpp"
#include "publisher/commands/signing.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/text.hpp"
#include "publisher/release/keyring.hpp"

namespace instar::publisher::devices_command {
namespace {

struct Options {
  ConnectionOptions connection;
  bool history = false;
  std::vector<std::string> devices;
  std::string groups;
  bool clear = false;
  bool no_wait = false;
  SigningOptions signing;
  std::string device;
  bool all = false;
  bool unknown = false;
  bool allow_key = false;
  std::string older_than;
  DeviceFilter filter;
  Paging paging;
};

// Device → its step in the newest rollout that it took part in.
Outcome<std::map<std::string, std::string>> last_steps(Session& session) {
  std::map<std::string, std::string> steps;
  INSTAR_TRY(const auto rollouts, list_rollouts(session));
  for (const auto& rollout : rollouts) {
    const Json parameters{{"rollout", rollout.rollout}, {"devices", true}, {"count", 1'000}};
    INSTAR_CHECK(for_each_row(session, "getRollout", "members", parameters, [&](const Json& row) {
      steps.emplace(get_text(row, "device"), get_text(row, "step"));  // rollouts come with the newest first
    }));
  }
  return steps;
}

// The rows that the filter takes, in the order of their names.
Outcome<Json> matching_devices(Session& session, const DeviceFilter& filter, const std::vector<std::string>& states,
                               bool verbose) {
  Json parameters{{"verbose", verbose || filter.degraded}};
  if (!filter.group.empty()) parameters["group"] = filter.group;
  if (filter.unknown) parameters["unknown"] = true;
  std::map<std::string, std::string> steps;
  if (filter.needs_steps()) {
    INSTAR_TRY(steps, last_steps(session));
  }
  Json rows = Json::array();
  INSTAR_CHECK(for_each_row(session, "listDevices", "devices", parameters, [&](const Json& row) {
    if (!filter.takes(row)) return;
    if (filter.needs_steps() && !is_one_of(steps[get_text(row, "device")], states)) return;
    rows.push_back(row);
  }));
  sort_naturally(rows, "device");
  return rows;
}

Outcome<Exit> list(const Options& options, const Console& console) {
  const auto& filter = options.filter;
  INSTAR_TRY(auto states, states_of(filter.states, all_steps()));
  if (filter.failed) std::ranges::copy(failed_steps(), std::back_inserter(states));
  INSTAR_TRY(const auto session, connect(options.connection));
  INSTAR_TRY(const auto rows, matching_devices(*session, filter, states, console.json));
  Json refused = Json::array();
  if (filter.unknown) {
    INSTAR_TRY(const auto page, session->request("listDevices", {{"unknown", true}, {"count", 1}}));
    refused = get(page, "refused");
  }
  std::string nobody;
  if (rows.empty() && filter.is_set() && !console.json) {
    INSTAR_TRY(nobody, nobody_text(*session, filter));
  }
  auto page = page_of(rows, options.paging);
  console.text() << (nobody.empty() ? devices_text(page.rows, wall_now()) : nobody) << page_text(page, options.paging)
                 << refused_text(refused, wall_now());
  Json out{{"devices", std::move(page.rows)}, {"total", page.total}};
  if (filter.unknown && refused.is_array()) out["refused"] = std::move(refused);
  console.document(out);
  return Exit::ok;
}

Outcome<Exit> show(const Options& options, const Console& console) {
  INSTAR_TRY(const auto session, connect(options.connection));
  INSTAR_TRY(const auto device,
             session->request("getDevice", {{"device", options.device}, {"history", options.history}}));
  console.text() << device_text(device, wall_now());
  console.document(device);
  return Exit::ok;
}

// In steps: the broker forgets so many at a time that its other work goes on.
Outcome<Exit> forget_all(const Options& options, const Console& console) {
  INSTAR_TRY(const auto silent_ms, parse_duration_ms(options.older_than));
  INSTAR_TRY(const auto session, connect(options.connection));
  std::uint64_t forgotten = 0;
  for (bool more = true; more;) {
    INSTAR_TRY(const auto data, session->request("forgetDevices", {{"older_than_s", (silent_ms + 999) / 1'000},
                                                                   {"unknown", options.unknown}}));
    forgotten += get_number(data, "forgotten");
    more = get_flag(data, "more");
  }
  console.text() << forgotten << (options.unknown ? " devices that never took part" : " devices")
                 << " are forgotten that were silent for " << human_duration(silent_ms)
                 << "; the keys of those that had taken part are refused from now on\n";
  console.document({{"forgotten", forgotten}});
  return Exit::ok;
}

Outcome<Exit> forget(const Options& options, const Console& console) {
  if (options.all) return forget_all(options, console);
  if (options.device.empty() || options.unknown || !options.older_than.empty())
    return fail(Exit::usage, Code::invalid_argument,
                "name one device; or all that are silent: --all --older-than 30d [--unknown]");
  INSTAR_TRY(const auto session, connect(options.connection));
  INSTAR_TRY(const auto data,
             session->request("forgetDevice", {{"device", options.device}, {"allow_key", options.allow_key}}));
  console.text() << options.device
                 << (options.allow_key ? " is forgotten; it may come back by the key that it had\n"
                                       : " is forgotten; the next key that it comes with is taken as its own, but not "
                                         "the one that it had\n");
  console.document({{"device", options.device}, {"forgotten", true}});
  return Exit::ok;
}

Outcome<std::vector<GroupPath>> read_groups(const Options& options) {
  std::vector<GroupPath> groups;
  if (options.clear == !options.groups.empty()) {
    return fail(Exit::usage, Code::invalid_argument,
                "give either --groups a,b/c or --clear (the devices' own configurations count again)");
  }
  std::string_view rest = options.groups;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    INSTAR_TRY(auto group, GroupPath::parse(rest.substr(0, comma)));
    groups.push_back(std::move(group));
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return groups;
}

// Signs it, and checks it in the same way as the broker and the device: the keys must reach the groups that the device
// leaves, and those that it gets. `leaves`: as the broker knows them.
Result<Bytes> seal_assignment(const wire::Assignment& assignment, const std::vector<GroupPath>& leaves,
                              const std::vector<trust::SecretKey>& keys, const trust::TrustStore& root) {
  auto envelope = trust::seal(trust::Kind::assignment, wire::encode(assignment), keys);
  INSTAR_TRY(const auto opened, root.open_assignment(envelope));
  const std::string device = "device " + assignment.device.str();
  for (const auto& group : leaves) {
    auto status = root.reaches(opened, group);
    if (!status) return fail(with_context(std::move(status.error()), device + " would leave group " + group.str()));
  }
  for (const auto& group : assignment.groups) {
    auto status = root.reaches(opened, group);
    if (!status) return fail(with_context(std::move(status.error()), device + " would get group " + group.str()));
  }
  return envelope;
}

// The groups in a device's own configuration are not known here. So with --clear this waits for its next hello.
Outcome<bool> has_moved(Session& session, const std::string& device, const std::vector<GroupPath>& groups,
                        std::uint64_t seen_before) {
  INSTAR_TRY(const auto row, session.request("getDevice", {{"device", device}}));
  if (groups.empty()) return get_number(row, "last_seen_ms") > seen_before;
  std::set<std::string> now;
  for (const auto& group : get(row, "groups")) now.insert(group.is_string() ? group.get<std::string>() : "");
  std::set<std::string> wanted;
  for (const auto& group : groups) wanted.insert(group.str());
  return now == wanted;
}

Outcome<Exit> assign(const Options& options, const Console& console) {
  INSTAR_TRY(const auto groups, read_groups(options));
  INSTAR_TRY(const auto keys, load_secret_keys(options.signing.keys));
  INSTAR_TRY(const auto root_bytes, files::read_file(options.signing.root, limits::kMessageBytesMax));
  auto root = trust::TrustStore::from_pinned(root_bytes);
  if (!root) return fail(Failure(with_context(root.error(), options.signing.root)));
  INSTAR_TRY(const auto session, connect(options.connection));
  Json moved = Json::array();
  for (const auto& name : options.devices) {
    INSTAR_TRY(const auto device, DeviceId::parse(name));
    INSTAR_TRY(const auto before, session->request("getDevice", {{"device", name}}));
    INSTAR_TRY(auto envelope,
               seal_assignment({device, groups, wall_now()}, read_device(before).description.groups, keys, *root));
    INSTAR_CHECK(session->publish(mqtt::Message{session->topics().device(device, wire::TopicKind::device_assignment),
                                                std::move(envelope), wire::Qos::at_least_once, wire::Retain::yes}));
    bool there = false;
    const auto deadline = monotonic_now() + session->timeout_ms();
    while (!options.no_wait && !there && get_flag(before, "online") && monotonic_now() < deadline) {
      INSTAR_TRY(there, has_moved(*session, name, groups, get_number(before, "last_seen_ms")));
      if (!there) static_cast<void>(session->next(200));
    }
    const auto* const what = there             ? " is there"
                             : options.no_wait ? " is told"
                                               : " is told, and has not answered yet: it will when it is connected";
    console.text() << name << what << "\n";
    Json row{{"device", name}, {"moved", there}};
    if (!groups.empty()) {
      INSTAR_TRY(const auto rollouts, list_rollouts(*session));
      const auto next = next_release(read_device(before), groups, rollouts);
      console.text() << "  " << next.text << "\n";
      row["next"] = {{"release", next.release}, {"taken", next.is_taken}, {"text", next.text}};
    }
    moved.push_back(std::move(row));
  }
  console.document({{"devices", std::move(moved)}});
  return Exit::ok;
}

}  // namespace

void add(CLI::App& app, Context& context) {
  auto* devices = app.add_subcommand("devices", "See the devices that the broker knows");
  devices->require_subcommand(1);

  const auto list_options = std::make_shared<Options>();
  auto* list_command = devices->add_subcommand("list", "List devices, what they run and when they were last heard");
  add_device_filter(*list_command, list_options->filter);
  add_paging(*list_command, list_options->paging);
  add_json(*list_command, context);
  add_connection(*list_command, list_options->connection);
  list_command->callback([list_options, &context] {
    context.run = [list_options, &context] { return list(*list_options, context.console); };
  });

  const auto show_options = std::make_shared<Options>();
  auto* show_command = devices->add_subcommand("show", "Show one device and its last reports");
  show_command->add_option("DEVICE", show_options->device, "Its id")->required();
  add_json(*show_command, context);
  add_connection(*show_command, show_options->connection);
  show_command->callback([show_options, &context] {
    context.run = [show_options, &context] { return show(*show_options, context.console); };
  });

  const auto history_options = std::make_shared<Options>();
  history_options->history = true;
  auto* history_command = devices->add_subcommand("history", "Show one device with the last 50 of its reports");
  history_command->add_option("DEVICE", history_options->device, "Its id")->required();
  add_json(*history_command, context);
  add_connection(*history_command, history_options->connection);
  history_command->callback([history_options, &context] {
    context.run = [history_options, &context] { return show(*history_options, context.console); };
  });

  const auto group_options = std::make_shared<Options>();
  auto* group_command = devices->add_subcommand(
      "group",
      "Put devices into groups from afar\n\n"
      "A signed word to each device, which counts before its own configuration until it is taken back with --clear.");
  group_command->add_option("DEVICE", group_options->devices, "Their ids")->required();
  group_command->add_option("--groups", group_options->groups, "The groups, by commas")->type_name("PATH,…");
  group_command->add_flag("--clear", group_options->clear, "The devices' own configurations count again");
  group_command->add_flag("--no-wait", group_options->no_wait, "Do not wait for the devices to be there");
  add_signing(*group_command, group_options->signing, "Root document, to check the signature as devices will");
  add_json(*group_command, context);
  add_connection(*group_command, group_options->connection);
  group_command->callback([group_options, &context] {
    context.run = [group_options, &context]() -> Outcome<Exit> {
      INSTAR_TRY(const auto config, load_config(group_options->connection.config_path));
      INSTAR_CHECK(settle_signing(group_options->signing, config.release));
      return assign(*group_options, context.console);
    };
  });

  const auto forget_options = std::make_shared<Options>();
  auto* forget_command = devices->add_subcommand(
      "forget",
      "Forget a device and the key that it came with, or all that have been silent for long\n\n"
      "Its key is refused from then on, whoever comes with it. For new hardware under an old name see `replace`.");
  forget_command->add_option("DEVICE", forget_options->device, "Its id");
  auto* forget_older = forget_command->add_option("--older-than", forget_options->older_than,
                                                  "With --all: those that were not heard for so long");
  forget_older->type_name("TIME");
  forget_command->add_flag("--all", forget_options->all, "All devices that are not connected, and silent")
      ->needs(forget_older);
  forget_command->add_flag("--unknown", forget_options->unknown,
                           "With --all: only those that have never taken part in a rollout");
  forget_command->add_flag("--allow-key", forget_options->allow_key,
                           "The device may come back by the keys that it had, also if it is forgotten already");
  add_json(*forget_command, context);
  add_connection(*forget_command, forget_options->connection);
  forget_command->callback([forget_options, &context] {
    context.run = [forget_options, &context] { return forget(*forget_options, context.console); };
  });

  add_replace(*devices, context);
  add_enrol(*devices, context);
}

}  // namespace instar::publisher::devices_command

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>
#include <utility>

#include "publisher/broker/approval.hpp"
#include "publisher/broker/broker_clock.hpp"
#include "publisher/broker/pages.hpp"
#include "publisher/broker/rollout_outcome.hpp"
#include "publisher/broker/rollouts.hpp"
#include "publisher/broker/roots.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/commands/listing.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/text.hpp"
#include "publisher/release/keyring.hpp"
#include "publisher/release/policy_spec.hpp"

namespace instar::publisher::rollout_command {
namespace {

struct Options {
  ConnectionOptions connection;
  std::string name;
  bool devices = false;
  bool offline = false;
  bool failed = false;
  std::vector<std::string> states;
  std::string product;
  std::string group;
  Paging paging;
  std::uint32_t wave = 0;
  std::vector<std::string> keys;
  std::string wait_timeout;
};
using OptionsPointer = std::shared_ptr<Options>;

struct Chosen {
  std::unique_ptr<Session> session;
  std::string rollout;
  RolloutStatus before;  // as it was when it was chosen
};

Outcome<Chosen> choose(const Options& options, const Console& console) {
  INSTAR_TRY(auto session, connect(options.connection));
  INSTAR_TRY(const auto rollouts, list_rollouts(*session));
  INSTAR_TRY(auto picked, pick_rollout(rollouts, options.name));
  if (!picked.note.empty()) console.err << "instar: " << picked.note << "\n";
  auto id = picked.status.rollout;
  return Chosen{std::move(session), std::move(id), std::move(picked.status)};
}

// Lines, if there is something to be said of the broker's root documents.
void tell_roots(const Json& answer, const Console& console) {
  std::istringstream lines(root_warnings(read_root_state(answer), wall_now()));
  for (std::string line; std::getline(lines, line);) console.err << "instar: " << line << "\n";
}

// A line, if there is something to be said of the broker's clock.
void tell_clock(const Json& answer, const Console& console) {
  const auto text = broker_clock_text(read_broker_clock(answer, wall_now()));
  if (!text.empty()) console.text() << "\n" << text << "\n";
}

// Whether `list` shows it.
bool is_listed(const RolloutStatus& status, const Options& options, const std::vector<std::string>& states) {
  if (!states.empty() && !is_one_of(status.state, states)) return false;
  if (!options.product.empty() && status.product != options.product) return false;
  if (options.failed && status.unsuccessful() == 0) return false;
  return options.group.empty() || is_one_of(options.group, status.groups);
}

Outcome<Exit> list(const Options& options, const Console& console) {
  INSTAR_TRY(const auto states, states_of(options.states, {}));
  INSTAR_TRY(const auto session, connect(options.connection));
  Json all = Json::array();
  std::set<std::string> seen;
  INSTAR_TRY(const auto answer,
             for_each_row(*session, "listRollouts", "rollouts", Json::object(), [&](const Json& row) {
               const auto status = read_status(row);
               seen.insert(status.state);
               if (is_listed(status, options, states)) all.push_back(row);
             }));
  auto page = page_of(all, options.paging);
  std::vector<RolloutStatus> rollouts;
  for (const auto& row : page.rows) rollouts.push_back(read_status(row));
  if (all.empty() && !seen.empty()) {
    console.text() << "no rollout is such a one; the states there are: " << joined({seen.begin(), seen.end()}, ", ")
                   << "\n";
  } else {
    console.text() << rollouts_text(rollouts, wall_now()) << page_text(page, options.paging);
  }
  tell_clock(answer, console);
  tell_roots(answer, console);
  console.document({{"rollouts", std::move(page.rows)},
                    {"total", page.total},
                    {"time_ms", get_number(answer, "time_ms")},
                    {"clock", get(answer, "clock")},
                    {"root_version", get_number(answer, "root_version")},
                    {"root_expires_ms", get_number(answer, "root_expires_ms")},
                    {"root_behind", get(answer, "root_behind")}});
  return Exit::ok;
}

Outcome<Exit> show(const Options& options, const Console& console) {
  INSTAR_TRY(auto states, states_of(options.states, all_steps()));
  if (options.failed) std::ranges::copy(failed_steps(), std::back_inserter(states));
  const bool devices = options.devices || options.offline || options.paging.limit > 0 || !states.empty();
  INSTAR_TRY(const auto chosen, choose(options, console));
  // In a status, "devices" is the number of devices. So their rows are printed under "members".
  const Json parameters{{"rollout", chosen.rollout}, {"devices", devices}};
  Json members = Json::array();
  std::size_t of_all = 0;
  INSTAR_TRY(auto document, for_each_row(*chosen.session, "getRollout", "members", parameters, [&](const Json& row) {
               ++of_all;
               const bool is_wanted = (states.empty() || is_one_of(get_text(row, "step"), states)) &&
                                      (!options.offline || !get_flag(row, "online"));
               if (is_wanted) members.push_back(row);
             }));
  console.text() << rollout_text(read_status(document), wall_now());
  tell_clock(document, console);
  if (devices) {
    sort_naturally(members, "device");
    auto page = page_of(members, options.paging);
    console.text() << "\n"
                   << (members.empty() && of_all > 0 ? "none of its " + count_of(of_all, "device") + " is such a one\n"
                                                     : members_text(page.rows, wall_now()))
                   << page_text(page, options.paging);
    document["members"] = std::move(page.rows);
    document["members_total"] = page.total;
  }
  console.document(document);
  return Exit::ok;
}

Outcome<Exit> watch(const Options& options, const Console& console) {
  std::int64_t timeout_ms = 0;
  if (!options.wait_timeout.empty()) {
    INSTAR_TRY(timeout_ms, parse_duration_ms(options.wait_timeout));
  }
  INSTAR_TRY(const auto chosen, choose(options, console));
  INSTAR_TRY(const auto last, watch_rollout(*chosen.session, console, chosen.rollout, timeout_ms));
  console.text() << ending_text(last);
  return exit_of(last);
}

// The signature that goes with an approval, and what it is for.
Outcome<void> add_signature(const Options& options, const Chosen& chosen, const Console& console, Json& parameters) {
  INSTAR_TRY(const auto keys, load_secret_keys(options.keys));
  INSTAR_TRY(const auto approval, sign_approval(*chosen.session, chosen.rollout, options.name, options.wave, keys));
  if (!approval) {
    console.text() << "this release asks for no signature: the plain word is given\n";
    return {};
  }
  parameters["approval"] = to_hex(approval->envelope);
  const auto& manifest = approval->manifest;
  console.text() << "signed for wave " << approval->wave + 1 << " of " << manifest.policy.waves.size() << " of "
                 << manifest.product << " " << manifest.release << " (sequence " << manifest.sequence << ", "
                 << wave_text(manifest.policy.waves[approval->wave]) << ")\n";
  return {};
}

Outcome<Exit> change(const Options& options, const Console& console, const std::string& command, const char* done) {
  INSTAR_TRY(const auto chosen, choose(options, console));
  Json parameters{{"rollout", chosen.rollout}};
  if (options.wave > 0) parameters["wave"] = options.wave;
  if (!options.keys.empty()) INSTAR_CHECK(add_signature(options, chosen, console, parameters));
  INSTAR_TRY(const auto data, chosen.session->request(command, std::move(parameters)));
  const auto status = read_status(data);
  const auto what = "rollout " + chosen.rollout + " (" + status.product + " " + status.release + ")";
  // A broker that has done something says a later time than the one before.
  if (status.state == chosen.before.state && status.updated == chosen.before.updated) {
    console.text() << what << " is " << state_text(status) << ", and nothing is changed\n";
  } else {
    console.text() << what << " is " << done << "\n";
  }
  if (!status.waits_for.empty()) {
    console.text() << "wave " << status.wave << " of " << status.waves.size() << " waits for " << status.waits_for
                   << "\n";
  }
  console.document(data);
  return Exit::ok;
}

Outcome<Exit> history(const Options& options, const Console& console) {
  INSTAR_TRY(const auto chosen, choose(options, console));
  INSTAR_TRY(const auto data, chosen.session->request("getRollout", {{"rollout", chosen.rollout}, {"history", true}}));
  console.text() << events_text(get(data, "events"), wall_now());
  console.document({{"rollout", chosen.rollout}, {"events", get(data, "events")}});
  return Exit::ok;
}

CLI::App* add(CLI::App& parent, Context& context, const OptionsPointer& options, const char* name, const char* help,
              bool needs_rollout) {
  auto* command = parent.add_subcommand(name, help);
  if (needs_rollout)
    command
        ->add_option(
            "ROLLOUT", options->name,
            "Its id, the beginning of the id, or the release's name (the newest of that name; PRODUCT/RELEASE where "
            "several products have it)")
        ->required();
  add_json(*command, context);
  add_connection(*command, options->connection);
  return command;
}

void add_change(CLI::App& parent, Context& context, const char* name, const char* help, const char* control,
                const char* done) {
  const auto options = std::make_shared<Options>();
  auto* command = add(parent, context, options, name, help, true);
  if (std::string_view(name) == "approve") {
    command->add_option("--wave", options->wave, "The wave that is approved, from 1 [the open one]")->type_name("N");
    command
        ->add_option("--key", options->keys,
                     "Secret key that signs the approval, where the release asks for a signed one: a release key that "
                     "reaches all of its groups, or an approve key; repeat for several")
        ->type_name("FILE");
  }
  command->callback([options, &context, control, done] {
    context.run = [options, &context, control, done] { return change(*options, context.console, control, done); };
  });
}

}  // namespace

void add(CLI::App& app, Context& context) {
  auto* rollout = app.add_subcommand("rollout", "See and steer releases on their way");
  rollout->require_subcommand(1);

  const auto list_options = std::make_shared<Options>();
  auto* list_command =
      add(*rollout, context, list_options, "list", "List the rollouts that the broker keeps, the newest first", false);
  list_command->add_option("--state", list_options->states, "Only those in this state; several by commas")
      ->type_name("STATE");
  list_command->add_option("--product", list_options->product, "Only those of this product")->type_name("NAME");
  list_command->add_option("--group,-g", list_options->group, "Only those for this group")->type_name("PATH");
  list_command->add_flag("--failed", list_options->failed, "Only those that a device did not take");
  add_paging(*list_command, list_options->paging);
  list_command->callback([list_options, &context] {
    context.run = [list_options, &context] { return list(*list_options, context.console); };
  });

  const auto show_options = std::make_shared<Options>();
  auto* show_command =
      add(*rollout, context, show_options, "show", "Show one rollout: counts by state, bytes, reasons", true);
  show_command->add_flag("--devices", show_options->devices, "List its devices too; so do the following options");
  show_command
      ->add_option("--state", show_options->states,
                   "Only devices in this state; several by commas: waiting, fetching, staging, trying, committed, "
                   "rolled_back, refused, failed")
      ->type_name("STATE");
  show_command->add_flag("--failed", show_options->failed, "Only devices that rolled back, refused or failed");
  show_command->add_flag("--offline", show_options->offline, "Only devices that are not connected");
  add_paging(*show_command, show_options->paging);
  show_command->callback([show_options, &context] {
    context.run = [show_options, &context] { return show(*show_options, context.console); };
  });

  const auto watch_options = std::make_shared<Options>();
  auto* watch_command = add(
      *rollout, context, watch_options, "watch",
      "Follow a rollout until it is over\n\n"
      "On a terminal one live table, else a line for each change (with --json one document a line). "
      "Ends with 0 when every device took the release, with 7 when not; the last lines say what came of it, why, and "
      "what to type next.",
      true);
  watch_command
      ->add_option("--wait-timeout", watch_options->wait_timeout, "Give up after this time, ends with 6 [never]")
      ->type_name("TIME");
  watch_command->callback([watch_options, &context] {
    context.console.json_lines = true;
    context.run = [watch_options, &context] { return watch(*watch_options, context.console); };
  });

  add_change(*rollout, context, "pause", "Let no further device begin; those under way go on", "pauseRollout",
             "paused");
  add_change(*rollout, context, "resume", "Let devices begin again", "resumeRollout", "active");
  add_change(*rollout, context, "abort", "End it: devices that have not yet switched stop and stay with what they run",
             "abortRollout", "aborted");
  add_change(*rollout, context, "approve", "Say the yes that the open wave asks for before the next one opens",
             "approveRollout", "approved");
  add_change(*rollout, context, "retry", "Let devices that have failed, or refused, try again", "retryRollout",
             "let go on: devices that had failed, or refused, may try again");
  add_change(*rollout, context, "revert",
             "Take it back: devices that have committed go back to the revision before it (if the release allows that: "
             "--revert-allowed)",
             "revertRollout", "taken back");

  const auto history_options = std::make_shared<Options>();
  auto* history_command =
      add(*rollout, context, history_options, "history", "Who did what to it and when, and what the broker did", true);
  history_command->callback([history_options, &context] {
    context.run = [history_options, &context] { return history(*history_options, context.console); };
  });
}

}  // namespace instar::publisher::rollout_command

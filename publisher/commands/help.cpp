#include <array>
#include <utility>

#include "publisher/commands/command_line.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/console/similar.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr const char* kExitCodes =
    "Exit codes of instar\n"
    "\n"
    "    0  done\n"
    "    1  the operation failed (disk, system)\n"
    "    2  the command line cannot be understood, or an option that is needed is missing\n"
    "    3  the broker cannot be reached\n"
    "    4  refused by the broker or by a policy; the reason is printed\n"
    "    5  the input is no good: a file is damaged, missing or badly signed, or a value cannot be used\n"
    "    6  no answer in time, or --wait-timeout has passed\n"
    "    7  the rollout ended, and not every device took the release\n"
    "  130  stopped by Ctrl-C\n"
    "\n"
    "With --json a failure also prints {\"error\":{\"code\":…,\"message\":…,\"exit\":N}} on stdout.\n";

constexpr const char* kConfig =
    "Configuration of the connection, and of what each release needs\n"
    "\n"
    "A value is taken from the command line, else from the environment, else from the config file.\n"
    "\n"
    "The config file is --config FILE, else $XDG_CONFIG_HOME/instar/config, else ~/.config/instar/config:\n"
    "\n"
    "  # one KEY = VALUE a line\n"
    "  broker = mqtts://broker.example.org\n"
    "  username = alice\n"
    "  password-file = /etc/instar/password\n"
    "  ca = /etc/ssl/certs/plant-ca.pem\n"
    "  root = keys/root.instar\n"
    "  key = keys/release.key\n"
    "  product = gateway\n"
    "  group = plant-7\n"
    "\n"
    "Of the connection: broker, username, password-file, ca, cert, key-file, prefix, timeout, allow-plain; they mean "
    "what "
    "the options do.\n"
    "Of releases: root and key for all commands that sign; product and group for publish and plan, where neither the "
    "command line nor the release file names any. key and group may stand several times.\n"
    "A relative path is relative to the config file; ~/ is your home.\n"
    "Environment: INSTAR_BROKER, INSTAR_USERNAME, INSTAR_PASSWORD_FILE, INSTAR_PREFIX.\n"
    "\n"
    "A broker is\n"
    "  mqtt://HOST[:PORT]  or tcp://   without TLS, port 1883; HOST alone means the same\n"
    "  mqtts://HOST[:PORT] or ssl://   with TLS, port 8883\n"
    "and instar-device takes the same as `server`. ws:// and wss:// are refused, because what comes over a WebSocket "
    "cannot be bounded: name a listener of the broker without `protocol websockets`.\n"
    "\n"
    "Sizes are bytes, or k, M, G (x 1000), Ki, Mi, Gi (x 1024). Times are ms, s, min, h, d, w, and sums: 1h30min.\n";

constexpr const char* kReleaseFile =
    "Release files, for instar publish --spec\n"
    "\n"
    "JSON. Paths of artifacts are relative to the file. Options on the command line go before what stands here.\n"
    "\n"
    "  {\n"
    "    \"product\": \"gateway\",                  kind of device; sequences rise per product\n"
    "    \"release\": \"2.4.1\",\n"
    "    \"groups\": [\"plant-7\"],\n"
    "    \"sequence\": \"auto\",                    or a number\n"
    "    \"expires\": \"90d\",\n"
    "    \"notes\": \"words for people\",\n"
    "    \"containers\": [{\n"
    "      \"name\": \"web\",\n"
    "      \"artifact\": \"out/web-2.4.1\",         made by instar pack\n"
    "      \"init\": [\"/usr/sbin/webd\", \"-f\"],\n"
    "      \"settings\": {\"lxc.environment\": [\"LANG=C\", \"PORT=80\"]},\n"
    "      \"volumes\": [{\"name\": \"data\", \"path\": \"/var/lib/web\", \"mode\": \"0750\", \"uid\": 0, \"gid\": "
    "0}],\n"
    "      \"health\": {\n"
    "        \"settle\": \"10s\",\n"
    "        \"probe\": {\"command\": [\"/usr/bin/check\"], \"timeout\": \"10s\", \"interval\": \"1s\", "
    "\"failures_max\": 3},\n"
    "        \"ready_timeout\": \"0\"\n"
    "      },\n"
    "      \"start_order\": 0\n"
    "    }, {\n"
    "      \"name\": \"modem\", \"artifact\": \"out/modem-7\",\n"
    "      \"handler\": \"modem\"                 no container: a program on the device takes it (docs/handlers.md)\n"
    "    }],\n"
    "    \"requirements\": {\"architectures\": [\"x86_64\"], \"kernel_min\": \"5.10\", \"client_min\": \"0.1\",\n"
    "                     \"memory_min\": \"64Mi\", \"free_min\": \"20M\"},\n"
    "    \"start_within\": \"30d\",               devices that have not begun after this time do not any more\n"
    "    \"policy\": {\n"
    "      \"waves\": [{\"devices\": [\"gw-01\"], \"soak\": \"1h\", \"approval\": true},\n"
    "                {\"share\": \"10%\", \"success\": \"95%\", \"quorum\": \"30%\"}, \"50%:soak=4h\"],\n"
    "      \"error_budget\": {\"failures\": \"2%\", \"action\": \"pause\"},      or abort, revert\n"
    "      \"in_flight_max\": 200, \"starts_per_minute_max\": 60, \"attempts_max\": 1, \"backoff\": \"60s\",\n"
    "      \"silent\": \"1h\", \"stale_after\": \"30d\",\n"
    "      \"windows\": [\"Mon-Fri 02:00 4h\"], \"download_any_time\": false,\n"
    "      \"consent\": false, \"unmetered_only\": false, \"metered_fallback\": false,\n"
    "      \"device_bytes_max\": \"5M\", \"rollout_bytes_max\": \"20G\", \"rate_max\": \"50k\",\n"
    "      \"revert_allowed\": false, \"fall_back_stops\": 0, \"approval\": \"plain\"   or signed\n"
    "    }\n"
    "  }\n"
    "\n"
    "Only containers, with name and artifact, must be there. A key that is not known is an error.\n"
    "docs/rollouts.md says what each part of a policy does.\n";

constexpr std::array<const char*, 3> kTopics{"exit-codes", "config", "release-file"};

Outcome<Exit> run(const CLI::App& app, const std::vector<std::string>& words, const Console& console) {
  if (words.empty()) {
    // help() would show that of the command that was chosen, which is this one.
    console.out << app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal)
                << "\nPages: instar help exit-codes | config | release-file\n";
    return Exit::ok;
  }
  const auto& topic = words.front();
  if (const auto text = help_topic(topic); !text.empty() && words.size() == 1) {
    console.out << text;
    return Exit::ok;
  }
  if (const auto wrong = unknown_word(app, words)) {
    const std::vector<std::string> pages(kTopics.begin(), kTopics.end());
    const auto meant = most_similar(topic, pages);
    return fail(Exit::usage, Code::invalid_argument,
                meant.empty() ? "no help page '" + joined(words, " ") + "': " + *wrong +
                                    ". Pages that are no command's: exit-codes, config, release-file"
                              : "no help page '" + topic + "'; did you mean `instar help " + meant + "`?");
  }
  const auto chosen = chosen_command(app, words);
  console.out << chosen.command->help(chosen.path.substr(0, chosen.path.rfind(' ')));
  return Exit::ok;
}

}  // namespace

std::string help_topic(const std::string& topic) {
  if (topic == "exit-codes") return kExitCodes;
  if (topic == "config") return kConfig;
  if (topic == "release-file") return kReleaseFile;
  return {};
}

void add_help(CLI::App& app, Context& context) {
  const auto words = std::make_shared<std::vector<std::string>>();
  auto* command = app.add_subcommand("help", "Show a page: exit-codes, config, release-file, or that of a command");
  command->add_option("TOPIC", *words, "Which page, or the words of a command: rollout watch");
  command->callback(
      [words, &app, &context] { context.run = [words, &app, &context] { return run(app, *words, context.console); }; });
}

}  // namespace instar::publisher

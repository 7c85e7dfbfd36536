#include <utility>

#include "publisher/commands/commands.hpp"

namespace instar::publisher {
namespace {

constexpr const char* kExitCodes =
    "Exit codes of instar\n"
    "\n"
    "    0  done\n"
    "    1  the operation failed (disk, system)\n"
    "    2  the command line cannot be understood\n"
    "    3  the broker cannot be reached\n"
    "    4  refused by the broker or by a policy; the reason is printed\n"
    "    5  the input is no good: a file is damaged, missing or badly signed, or a value cannot be used\n"
    "    6  no answer in time, or --wait-timeout has passed\n"
    "    7  the rollout ended, and not every device took the release\n"
    "  130  stopped by Ctrl-C\n"
    "\n"
    "With --json a failure also prints {\"error\":{\"code\":…,\"message\":…,\"exit\":N}} on stdout.\n";

constexpr const char* kConfig =
    "Configuration of the connection\n"
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
    "\n"
    "Keys: broker, username, password-file, ca, cert, key-file, prefix, timeout, allow-plain; they mean what the "
    "options do.\n"
    "Environment: INSTAR_BROKER, INSTAR_USERNAME, INSTAR_PASSWORD_FILE, INSTAR_PREFIX.\n"
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
    "    \"policy\": {\"attempts_max\": 1, \"backoff\": \"60s\", \"metered_fallback\": false}\n"
    "  }\n"
    "\n"
    "Only containers, with name and artifact, must be there. A key that is not known is an error.\n";

Outcome<Exit> run(const CLI::App& app, const std::string& topic, const Console& console) {
  if (topic.empty()) {
    console.out << app.help() << "\nPages: instar help exit-codes | config | release-file\n";
    return Exit::ok;
  }
  if (const auto text = help_topic(topic); !text.empty()) {
    console.out << text;
    return Exit::ok;
  }
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() != topic) continue;
    console.out << command->help(app.get_name());
    return Exit::ok;
  }
  return fail(Exit::usage, Code::invalid_argument,
              "no help page '" + topic + "': there are exit-codes, config, release-file, and one for each command");
}

}  // namespace

std::string help_topic(const std::string& topic) {
  if (topic == "exit-codes") return kExitCodes;
  if (topic == "config") return kConfig;
  if (topic == "release-file") return kReleaseFile;
  return {};
}

void add_help(CLI::App& app, Context& context) {
  const auto topic = std::make_shared<std::string>();
  auto* command = app.add_subcommand("help", "Show a page: exit-codes, config, release-file, or that of a command");
  command->add_option("TOPIC", *topic, "Which page");
  command->callback(
      [topic, &app, &context] { context.run = [topic, &app, &context] { return run(app, *topic, context.console); }; });
}

}  // namespace instar::publisher

// instar-device: the program on the device.
#include <malloc.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/base/text.hpp"
#include "device-client/caretaker.hpp"
#include "device-client/daemon.hpp"
#include "device-client/device_status.hpp"
#include "device-client/factory.hpp"
#include "device-client/host.hpp"
#include "device-client/host_check.hpp"
#include "device-client/install.hpp"
#include "device-client/revision_verify.hpp"

namespace instar::device {
namespace {

// The same numbers as those of `instar`.
enum ExitCode : int { kOk = 0, kFailed = 1, kUsage = 2, kBadInput = 5 };

constexpr std::string_view kUsageText =
    "usage: instar-device run --config FILE           run the client in the foreground; SIGTERM ends it, containers "
    "run on\n"
    "       instar-device status --config FILE [--json]  what runs, what is under way; works while the daemon runs\n"
    "       instar-device verify --config FILE [--json]  holds every file of the revisions against what was signed\n"
    "       instar-device install BUNDLE --config FILE   takes a release from a file of `instar publish --bundle`; the "
    "client is stopped\n"
    "       instar-device set-factory --config FILE      what runs now is kept for good, for when nothing else runs; "
    "the client is "
    "stopped\n"
    "       instar-device hold | unhold --config FILE    hold all updates, or let them go on\n"
    "       instar-device allow | disallow [RELEASE] --config FILE\n"
    "                                               say yes (no more) to releases that ask for consent, or to that one "
    "alone\n"
    "       instar-device key --config FILE           the device's public key; makes the key when there is none yet\n"
    "       instar-device check-config FILE           name what is wrong with a configuration, its files and this "
    "machine\n"
    "       instar-device version\n"
    "FILE is /etc/instar/device.conf when left out. docs/device.md describes it.\n"
    "Exit codes: 0 ok, 1 failed, 2 wrong usage, 5 the configuration cannot be used.\n";
constexpr const char* kDefaultConfig = "/etc/instar/device.conf";

// For another client that may have to run in the place of this process.
char** own_arguments = nullptr;

struct Arguments {
  std::string command;
  std::string release;
  std::string bundle;
  std::string config = kDefaultConfig;
  bool json = false;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  if (argc < 2) return false;
  arguments.command = argv[1];
  if (arguments.command.starts_with("--")) arguments.command.erase(0, 2);  // --version, --help
  for (int i = 2; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--config" && i + 1 < argc)
      arguments.config = argv[++i];
    else if (argument == "--json" && (arguments.command == "status" || arguments.command == "verify"))
      arguments.json = true;
    else if ((arguments.command == "allow" || arguments.command == "disallow") && arguments.release.empty() &&
             is_name(argument))
      arguments.release = argument;
    else if (arguments.command == "install" && arguments.bundle.empty() && !argument.starts_with("-"))
      arguments.bundle = argument;
    else if (arguments.command == "check-config" && !argument.starts_with("-"))
      arguments.config = argument;
    else
      return false;
  }
  return (arguments.command == "install") == !arguments.bundle.empty();
}

int print_error(const Error& error, int exit_code) {
  std::fprintf(stderr, "instar-device: %s\n", clean_text(error.message, error.message.size()).c_str());
  return exit_code;
}

// What containers, handlers and file names say may hold anything, and this may be a terminal.
void print_clean(const std::string& text, bool json) {
  std::printf("%s%s", (json ? clean_json(text) : clean_text(text, text.size())).c_str(), json ? "\n" : "");
}

// The signals are blocked before the first thread starts, so that only the loop gets them.
int block_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  return ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

Watchdog::Options watchdog_options(const Config& config, const Log& log) {
  const auto environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  Watchdog::Options options{config.watchdog, config.watchdog_s, "", 0, config.state_dir + "/watchdog-boots", &log};
  // systemd's watchdog is meant for the process that it started (sd_watchdog_enabled(3)).
  if (const auto pid = environment("WATCHDOG_PID"); pid.empty() || pid == std::to_string(::getpid())) {
    options.notify_socket = environment("NOTIFY_SOCKET");
    options.notify_us = std::strtoull(environment("WATCHDOG_USEC").c_str(), nullptr, 10);
  }
  return options;
}

// Makes all threads use one heap, which returns free memory to the system. A device of 64 MB needs that.
void keep_memory_small() {
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 64 * 1024);
}

// The reserve, which everything that writes from now on asks when the disk is full. What is freed then is for the
// client: no container runs until it has used it.
std::shared_ptr<files::Reserve> open_reserve(const std::string& state_dir, std::shared_ptr<ContainerPause> pause) {
  const auto space = files::free_space(state_dir).value_or(files::Space());
  auto reserve = std::make_shared<files::Reserve>(state_dir + "/reserve", space);
  files::set_room_maker([reserve, pause = std::move(pause)](std::uint64_t bytes) {
    pause->pause();
    return reserve->release(bytes);
  });
  return reserve;
}

// The parts of a daemon, or the reason why there can be none. `lock`: is held as long as the daemon runs.
Result<DaemonParts> make_parts(Config config, const Log& log, std::optional<StateLock>& lock) {
  if (::geteuid() != 0) return fail(Code::refused, "must run as root: it starts containers and keeps owners of files");
  INSTAR_CHECK(prepare_state_dir(config));
  if (!lock) {
    INSTAR_TRY(lock, StateLock::take(config.state_dir));
  }
  const auto pause = std::make_shared<ContainerPause>(config.state_dir + "/lxc");
  const auto reserve = open_reserve(config.state_dir, pause);
  INSTAR_TRY(auto helper, find_helper(config));
  INSTAR_TRY(auto key, load_identity(config.state_dir));
  auto facts = read_facts(config);
  const auto findings = check_machine(config, helper);
  for (const auto& finding : findings) log.warning(finding.text);
  facts.no_containers = why_none_runs(findings);
  auto options = stager_options(config, log);
  options.has_margin = [reserve] { return reserve->is_whole(); };
  options.lent = [reserve] { return reserve->lent(); };
  auto staging = std::make_unique<Stager>(std::move(options));
  DaemonParts parts{std::move(config),  std::move(facts),  read_host(), std::move(helper), std::move(key), log,
                    std::move(staging), mqtt::make_client, read_clocks, read_utc_offset_s};
  parts.run_client_again = [] { return run_client_again(own_arguments); };
  parts.clock_state = [clock = parts.config.clock] { return read_clock_state(clock); };
  parts.reserve = reserve;
  parts.pause = pause;
  for (const auto& finding : findings)
    if (finding.kind == Finding::Kind::machine) parts.troubles.push_back(finding.text);
  return parts;
}

// The daemon. Without room for its state what is committed runs, until there is room. nullptr: it was asked to stop
// meanwhile. `watched`: the watchdog is fed from the first moment on, and one that cannot be is no reason to stop.
Result<std::unique_ptr<Daemon>> open_daemon(const Config& config, const Log& log, std::optional<StateLock>& lock,
                                            Watchdog::Options watched, int stop_fd) {
  while (true) {
    INSTAR_TRY(auto parts, make_parts(config, log, lock));
    watched.count_file = parts.config.state_dir + "/watchdog-boots";
    if (auto watchdog = Watchdog::start(watched, read_clocks().monotonic)) {
      parts.watchdog.emplace(std::move(*watchdog));
    } else {
      log.error(watchdog.error().message);
      parts.troubles.push_back("there is no watchdog: " + watchdog.error().message);
    }
    log.notice("instar-device " + client_version() + " starts for device " + parts.config.device_id.str());
    const auto [prepared, host, helper, pause] = std::tuple(parts.config, parts.host, parts.helper, parts.pause);
    auto daemon = Daemon::open(std::move(parts));
    if (daemon || daemon.error().code != Code::no_space) return daemon;
    log.error(daemon.error().message);
    const auto has_room = [&] {
      const auto space = files::free_space(prepared.state_dir);
      return space && !is_full(*space);
    };
    if (!take_care({prepared, host, helper, log, watched, *pause}, stop_fd, has_room)) return nullptr;
  }
}

int run(const Config& config) {
  keep_memory_small();
  const Log log(config.log_level, Log::stderr_is_journal());
  const int stop_fd = block_signals();
  auto watched = watchdog_options(config, log);
  std::optional<StateLock> lock;
  auto daemon = open_daemon(config, log, lock, std::move(watched), stop_fd);
  if (!daemon) {
    log.error(daemon.error().message);
    return kFailed;
  }
  return *daemon == nullptr ? kOk : (*daemon)->run(stop_fd);
}

int install(Config config, const std::string& bundle) {
  keep_memory_small();
  if (const int pid = StateLock::holder(config.state_dir); pid > 0)
    return print_error(
        {Code::unavailable,
         "the client runs (process " + std::to_string(pid) +
             "): stop it, install, and start it again (systemctl stop instar-device); containers run on meanwhile"},
        kFailed);
  const Log log(config.log_level, Log::stderr_is_journal());
  const int stop_fd = block_signals();
  std::optional<DeviceStatus> before;
  if (auto status = read_status(config)) before = std::move(*status);
  std::optional<StateLock> lock;
  auto parts = make_parts(std::move(config), log, lock);
  if (!parts) return print_error(parts.error(), kFailed);
  const auto installed = install(bundle, std::move(*parts), before, stop_fd);
  if (!installed) return print_error(installed.error(), kFailed);
  std::printf("%s\n", installed->c_str());
  return kOk;
}

int keep_as_factory(const Config& config) {
  std::optional<StateLock> lock;
  auto held = StateLock::take(config.state_dir);
  if (!held)
    return print_error(with_context(held.error(), "stop the client first (systemctl stop instar-device)"), kFailed);
  lock.emplace(std::move(*held));
  const auto release = device::set_factory(config.state_dir);
  if (!release) return print_error(release.error(), kFailed);
  std::printf("release %s is the factory release of this device: its revision is never removed\n", release->c_str());
  return kOk;
}

int status(const Config& config, bool json) {
  const auto status = read_status(config);
  if (!status) return print_error(status.error(), kFailed);
  print_clean(json ? status_json(*status) : status_text(*status), json);
  return kOk;
}

// The daemon may remove a revision while it is being read. So if a fault was found and the state has changed, all is
// checked again.
int verify(const Config& config, bool json) {
  auto status = read_status(config);
  if (!status) return print_error(status.error(), kFailed);
  auto verdicts = verify_revisions(config.state_dir, status->state);
  for (auto seen = status->state.generation; !is_sound(verdicts); seen = status->state.generation) {
    status = read_status(config);
    if (!status) return print_error(status.error(), kFailed);
    if (status->state.generation == seen) break;
    verdicts = verify_revisions(config.state_dir, status->state);
  }
  print_clean(json ? verdicts_json(verdicts) : verdicts_text(verdicts), json);
  return is_sound(verdicts) ? kOk : kFailed;
}

// For `instar devices enrol --public-key`. A running client has made its key already.
int print_key(Config config) {
  if (const auto made = prepare_state_dir(config); !made) return print_error(made.error(), kFailed);
  const auto lock = StateLock::take(config.state_dir);
  if (!lock && lock.error().code != Code::unavailable) return print_error(lock.error(), kFailed);
  const auto key = load_identity(config.state_dir);
  if (!key) return print_error(key.error(), kFailed);
  std::printf("%s\n", to_hex(key->public_key().bytes).c_str());
  return kOk;
}

bool is_owner_command(const std::string& command) {
  return command == "hold" || command == "unhold" || command == "allow" || command == "disallow";
}

// The daemon reads it within a second, or when it starts.
int say(const Config& config, const Arguments& arguments) {
  auto word = read_owner_word(config.state_dir).value_or(revision::OwnerInstruction{});
  if (arguments.command == "hold" || arguments.command == "unhold") word.hold = arguments.command == "hold";
  if (arguments.command == "allow") {
    if (arguments.release.empty()) word.allow_any = true;
    word.allowed = arguments.release;
  }
  if (arguments.command == "disallow") {
    word.allow_any = false;
    word.allowed.clear();
  }
  if (const auto written = write_owner_word(config.state_dir, word); !written)
    return print_error(written.error(), kFailed);
  std::printf("%s\n", owner_text(word).c_str());
  return kOk;
}

// What is wrong is said as a whole, each in a line. The first word says what it is about.
int check_config(const std::string& path, const Config& config) {
  const bool is_new = !files::exists(state_path(config.state_dir)) && !files::exists(anchor_path(config.state_dir));
  auto findings = check_files(config, is_new);
  for (auto& finding : check_machine(config, find_helper(config))) findings.push_back(std::move(finding));
  int exit_code = kOk;
  for (const auto& finding : findings) {
    const bool is_mistake = finding.kind == Finding::Kind::mistake;
    if (finding.kind != Finding::Kind::note && exit_code != kBadInput) exit_code = is_mistake ? kBadInput : kFailed;
    std::fprintf(stderr, "instar-device: %s: %s\n",
                 is_mistake                               ? path.c_str()
                 : finding.kind == Finding::Kind::machine ? "this machine"
                                                          : "note",
                 clean_text(finding.text, finding.text.size()).c_str());
  }
  std::printf("%s: device %s, product %s, %zu groups, %s%s\n", path.c_str(), config.device_id.str().c_str(),
              config.product.c_str(), config.groups.size(), config.server.c_str(),
              exit_code == kOk ? "" : ": not ready, see above");
  return exit_code;
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  const bool parsed = parse(argc, argv, arguments);
  if (parsed && arguments.command == "version") {
    std::printf("instar-device %s\n", client_version().c_str());
    return kOk;
  }
  if (parsed && arguments.command == "help") {
    std::printf("%.*s", static_cast<int>(kUsageText.size()), kUsageText.data());
    return kOk;
  }
  if (!parsed ||
      (arguments.command != "run" && arguments.command != "status" && arguments.command != "verify" &&
       arguments.command != "check-config" && arguments.command != "install" && arguments.command != "set-factory" &&
       arguments.command != "key" && !is_owner_command(arguments.command))) {
    std::fprintf(stderr, "%.*s", static_cast<int>(kUsageText.size()), kUsageText.data());
    return kUsage;
  }
  auto config = load_config(arguments.config);
  if (!config) return print_error(config.error(), kBadInput);
  if (arguments.command == "set-factory") return keep_as_factory(*config);
  if (arguments.command == "run" || arguments.command == "install") run_chosen_client(config->state_dir, argv);
  own_arguments = argv;
  if (arguments.command == "run") return run(*config);
  if (arguments.command == "install") return install(std::move(*config), arguments.bundle);
  if (is_owner_command(arguments.command)) return say(*config, arguments);
  if (arguments.command == "key") return print_key(std::move(*config));
  if (arguments.command == "status") return status(*config, arguments.json);
  if (arguments.command == "verify") return verify(*config, arguments.json);
  return check_config(arguments.config, *config);
}

}  // namespace
}  // namespace instar::device

int main(int argc, char** argv) {
  return instar::device::main_of(argc, argv);
}

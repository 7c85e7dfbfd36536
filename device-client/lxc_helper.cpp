// instar-lxc: the only program that calls liblxc, once per process, and the only file that includes it.
//
// liblxc's start() moves its caller into the container's monitor cgroup and leaves open state behind: a long-lived daemon must not
// do that, and a device without a rollout under way need not hold liblxc in memory. Each command prints one line of JSON.
//
//   instar-lxc start --lxcpath P --name N [-- INIT ARGUMENT…]
//   instar-lxc stop  --lxcpath P --name N --timeout-ms T
//   instar-lxc state --lxcpath P --name N [--name N…]
//   instar-lxc probe --lxcpath P --name N --timeout-ms T -- COMMAND ARGUMENT…
//
// Exit code 0: the line says what happened. 1: it failed, "error" says why. 2: wrong usage.
#include <fcntl.h>
#include <lxc/lxccontainer.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "core/base/assert.hpp"
#include "device-client/cgroup_orphans.hpp"
#include "device-client/json_line.hpp"

namespace instar::device {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kOrphanTimeoutMs = 5'000;
constexpr int kSettleTimeoutS = 10;
constexpr std::size_t kOutputLineBytesMax = 300;

struct Arguments {
  std::string command;
  std::string lxcpath;
  std::vector<std::string> names;
  std::uint32_t timeout_ms = 10'000;
  std::vector<char*> rest;  // after "--", with a null pointer at the end

  const std::string& name() const { return names.front(); }
};

struct ContainerDeleter {
  void operator()(lxc_container* container) const { lxc_container_put(container); }
};
using Container = std::unique_ptr<lxc_container, ContainerDeleter>;

int answer(const JsonLine& line) {
  std::printf("%s\n", line.str().c_str());
  return std::fflush(stdout) == 0 ? 0 : 1;
}
int answer_error(const std::string& message) {
  answer(JsonLine().add("error", message));
  return 1;
}

std::int64_t ms_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
}

// Held while a container is started or stopped: a daemon that was killed and started again may ask a second time meanwhile.
class Lock {
 public:
  explicit Lock(const std::string& path) : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ >= 0)
      while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
      }
  }
  ~Lock() {
    if (fd_ >= 0) ::close(fd_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  bool held() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::string folder_of(const Arguments& arguments) {
  return arguments.lxcpath + "/" + arguments.name();
}

// The first ERROR line of LXC's log, without time stamp and place: why a start failed. Later ones are its echoes up the stack.
std::string first_error(const std::string& path) {
  std::ifstream log(path);
  for (std::string line; std::getline(log, line);) {
    // "lxc NAME TIME ERROR    start - ../src/lxc/start.c:start:2197 - No such file or directory - Failed to exec"
    const auto error = line.find(" ERROR ");
    const auto place = error == std::string::npos ? error : line.find(" - ", error);
    const auto text = place == std::string::npos ? place : line.find(" - ", place + 3);
    if (text != std::string::npos) return line.substr(text + 3);
  }
  return "LXC gives no reason; see " + path;
}

std::string state_of(lxc_container* container) {
  const char* const state = container->state(container);
  return state != nullptr ? state : "UNKNOWN";
}

int start(const Arguments& arguments) {
  const auto begin = Clock::now();
  const Lock lock(folder_of(arguments) + "/lock");
  if (!lock.held()) return answer_error("cannot lock " + folder_of(arguments) + ": " + std::strerror(errno));
  const std::string log = folder_of(arguments) + "/log";
  const Container container(lxc_container_new(arguments.name().c_str(), arguments.lxcpath.c_str()));
  if (!container || !container->is_defined(container.get()))
    return answer_error("no usable LXC configuration in " + folder_of(arguments) + "/config");
  lxc_container* const c = container.get();
  if (state_of(c) == "RUNNING")
    return answer(JsonLine().add("state", "RUNNING").add("pid", std::int64_t{c->init_pid(c)}).add("already", true));
  if (state_of(c) != "STOPPED" && !c->wait(c, "STOPPED", kSettleTimeoutS))
    return answer_error("the container is " + state_of(c) + " and stays so; stop it first");
  const auto orphans = end_orphans(arguments.lxcpath, arguments.name(), kOrphanTimeoutMs);
  if (!orphans) return answer_error(orphans.error().message);
  [[maybe_unused]] const int emptied = ::truncate(log.c_str(), 0);
  c->want_daemonize(c, true);
  c->want_close_all_fds(c, true);
  char* const* const init = arguments.rest.size() > 1 ? arguments.rest.data() : nullptr;
  if (!c->start(c, 0, init)) return answer_error(first_error(log));
  return answer(JsonLine()
                    .add("state", "RUNNING")
                    .add("pid", std::int64_t{c->init_pid(c)})
                    .add("ms", ms_since(begin))
                    .add("orphans", static_cast<std::int64_t>(*orphans)));
}

int stop(const Arguments& arguments) {
  const auto begin = Clock::now();
  const Lock lock(folder_of(arguments) + "/lock");
  const Container container(lxc_container_new(arguments.name().c_str(), arguments.lxcpath.c_str()));
  if (!container) return answer_error("cannot look at " + folder_of(arguments));
  lxc_container* const c = container.get();
  bool forced = false;
  if (state_of(c) != "STOPPED") {
    const int timeout_s = static_cast<int>((arguments.timeout_ms + 999) / 1000);
    // shutdown() can miss a container that has just started: then stop() ends it.
    if (timeout_s == 0 || !c->shutdown(c, timeout_s) || state_of(c) != "STOPPED") {
      forced = true;
      c->stop(c);
    }
    if (!c->wait(c, "STOPPED", kSettleTimeoutS)) return answer_error("the container does not stop, it is " + state_of(c));
  }
  const auto orphans = end_orphans(arguments.lxcpath, arguments.name(), kOrphanTimeoutMs);
  if (!orphans) return answer_error(orphans.error().message);
  return answer(JsonLine()
                    .add("state", "STOPPED")
                    .add("forced", forced)
                    .add("ms", ms_since(begin))
                    .add("orphans", static_cast<std::int64_t>(*orphans)));
}

int state(const Arguments& arguments) {
  for (const auto& name : arguments.names) {
    const Container container(lxc_container_new(name.c_str(), arguments.lxcpath.c_str()));
    if (!container) return answer_error("cannot look at " + arguments.lxcpath + "/" + name);
    const std::string now = state_of(container.get());
    const std::int64_t pid = now == "STOPPED" ? -1 : container->init_pid(container.get());
    if (answer(JsonLine().add("name", name).add("state", now).add("pid", pid)) != 0) return 1;
  }
  return 0;
}

// Keeps the last line that has something in it.
class LastLine {
 public:
  void feed(const char* data, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      if (data[i] != '\n') {
        if (current_.size() < kOutputLineBytesMax) current_ += data[i];
      } else if (!current_.empty()) {
        last_ = std::exchange(current_, {});
      }
    }
  }
  const std::string& get() const { return current_.empty() ? last_ : current_; }

 private:
  std::string current_;
  std::string last_;
};

// Runs inside the container.
int run_command(void* payload) {
  char* const* const command = static_cast<char* const*>(payload);
  ::setsid();  // a group of its own, to be killed as one
  ::execvp(command[0], command);
  std::fprintf(stderr, "cannot run %s: %s\n", command[0], std::strerror(errno));
  std::fflush(stderr);
  ::_exit(errno == ENOENT ? 127 : 126);
}

struct Ended {
  bool timed_out = false;
  int status = 0;
};

// Reads what the command prints until it has ended or its time is over.
Ended watch(pid_t pid, int output, std::uint32_t timeout_ms, LastLine& line) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  Ended ended;
  const auto drain = [&] {
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(output, buffer, sizeof buffer)) > 0;) line.feed(buffer, static_cast<std::size_t>(got));
  };
  while (::waitpid(pid, &ended.status, WNOHANG) == 0) {
    if (Clock::now() >= deadline) {
      ended.timed_out = true;
      ::kill(-pid, SIGKILL);
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &ended.status, 0);
      break;
    }
    pollfd waiting{output, POLLIN, 0};
    ::poll(&waiting, 1, 10);
    if ((waiting.revents & POLLHUP) != 0) ::usleep(2'000);  // it has closed its output and not ended yet
    drain();
  }
  drain();
  return ended;
}

int probe(const Arguments& arguments) {
  const auto begin = Clock::now();
  const Container container(lxc_container_new(arguments.name().c_str(), arguments.lxcpath.c_str()));
  if (!container || !container->is_running(container.get())) return answer_error("the container is not running");
  int output[2];
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing < 0 || ::pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0) return answer_error(std::string("no pipe: ") + std::strerror(errno));
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path.data(), nullptr};
  std::string root = "/";
  lxc_attach_options_t options = LXC_ATTACH_OPTIONS_DEFAULT;
  options.env_policy = LXC_ATTACH_CLEAR_ENV;
  options.extra_env_vars = environment;
  options.initial_cwd = root.data();
  options.stdin_fd = nothing;
  options.stdout_fd = output[1];
  options.stderr_fd = output[1];
  pid_t pid = -1;
  std::vector<char*> command = arguments.rest;
  if (container->attach(container.get(), run_command, command.data(), &options, &pid) != 0 || pid <= 0)
    return answer_error("cannot enter the container");
  ::close(output[1]);
  LastLine line;
  const Ended ended = watch(pid, output[0], arguments.timeout_ms, line);
  JsonLine reply;
  reply.add("line", line.get()).add("ms", ms_since(begin));
  if (ended.timed_out) return answer(reply.add("timed_out", true));
  if (WIFSIGNALED(ended.status)) return answer(reply.add("signal", std::int64_t{WTERMSIG(ended.status)}));
  return answer(reply.add("exit", std::int64_t{WEXITSTATUS(ended.status)}));
}

bool parse_number(const char* text, std::uint32_t& out) {
  const char* const end = text + std::strlen(text);
  return std::from_chars(text, end, out).ptr == end && end != text;
}

bool parse(int argc, char** argv, Arguments& arguments) {
  if (argc < 2) return false;
  arguments.command = argv[1];
  int i = 2;
  for (; i < argc && std::strcmp(argv[i], "--") != 0; i += 2) {
    if (i + 1 >= argc) return false;
    const std::string key = argv[i];
    if (key == "--lxcpath") {
      arguments.lxcpath = argv[i + 1];
    } else if (key == "--name") {
      arguments.names.emplace_back(argv[i + 1]);
    } else if (key != "--timeout-ms" || !parse_number(argv[i + 1], arguments.timeout_ms)) {
      return false;
    }
  }
  for (++i; i < argc; ++i) arguments.rest.push_back(argv[i]);
  arguments.rest.push_back(nullptr);
  return !arguments.lxcpath.empty() && !arguments.names.empty();
}

int run(int argc, char** argv) {
  Arguments arguments;
  if (parse(argc, argv, arguments)) {
    if (arguments.command == "state") return state(arguments);
    if (arguments.names.size() == 1) {
      if (arguments.command == "start") return start(arguments);
      if (arguments.command == "stop") return stop(arguments);
      if (arguments.command == "probe" && arguments.rest.size() > 1) return probe(arguments);
    }
  }
  std::fprintf(stderr,
               "usage: instar-lxc start|stop|state|probe --lxcpath FOLDER --name NAME [--timeout-ms N] [-- COMMAND ARGUMENT...]\n"
               "The device client calls this; people use lxc-ls, lxc-info and lxc-attach with -P FOLDER.\n");
  return 2;
}

}  // namespace
}  // namespace instar::device

int main(int argc, char** argv) {
  return instar::device::run(argc, argv);
}

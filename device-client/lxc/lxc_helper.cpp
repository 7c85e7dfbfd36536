// instar-lxc: the only program that calls liblxc, once in each process, and the only file that includes it.
//
// liblxc's start() moves its caller into the container's monitor cgroup and leaves state behind. A daemon must not do
// that, and without a rollout a device need not have liblxc in memory. Each command prints one line of JSON.
//
//   instar-lxc switch --lxcpath P --timeout-ms T [--stop N]… [--start N]…
//   instar-lxc state  --lxcpath P --name N [--name N…]
//   instar-lxc probe  --lxcpath P --name N --timeout-ms T -- COMMAND ARGUMENT…
//   instar-lxc mount  --lxcpath P --name N --
//   instar-lxc volumes --lxcpath P --name N --
//   instar-lxc version                           LXC's, and whether this program can run at all
//
// A switch is one process, so that a container is down only for as long as LXC needs: everything is loaded and parsed
// before the first container stops. It stops containers in the given order, then starts containers in the given order.
// It prints one line for each as soon as that is done, and ends at the first failure. Files in a container's folder
// describe what to start (switch_files.hpp). They are put in place just before the start.
//
// A container that runs from an image has `instar-lxc mount` as LXC's pre-mount hook. LXC calls it in the container's
// new mount namespace, also at a reboot of the container, before it makes the overlay and leaves the host's root. So
// the mount is in no other namespace, neither the host's nor that of LXC's monitor. It goes away with the container,
// whatever ends that, and the loop device goes away with the mount. (A namespace made here, around LXC's start, would
// stay in the monitor and hold every file system that the host unmounts later.)
//
// A container that has volumes, or gets files of the host, has `instar-lxc volumes` as LXC's mount hook, which LXC
// calls in the same namespace once the container's root is mounted. There the whole tree is to be seen as the container
// left it, and nothing of the container runs. LXC's own mount entries are not used for these, because LXC makes their
// mount points by path: a link in the tree would lead it to a folder of the host.
//
// Exit code 0: the lines say what happened. 1: it failed, and "error" says why. 2: wrong usage.
#include <fcntl.h>
#include <lxc/lxccontainer.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "device-client/lxc/ask_to_end.hpp"
#include "device-client/lxc/cgroup_orphans.hpp"
#include "device-client/lxc/image_mount.hpp"
#include "device-client/lxc/provided_files.hpp"
#include "device-client/lxc/start_room.hpp"
#include "device-client/lxc/volume_mounts.hpp"
#include "device-client/process/container_files.hpp"
#include "device-client/process/container_volumes.hpp"
#include "device-client/process/json_line.hpp"
#include "device-client/process/own_program.hpp"
#include "device-client/process/switch_files.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kOrphanTimeoutMs = 5'000;
constexpr int kSettleTimeoutS = 10;
constexpr int kEndedTimeoutS = 3;  // for LXC to see that the first program has ended

struct Arguments {
  std::string command;
  std::string lxcpath;
  std::vector<std::string> names;
  std::vector<std::string> stops;
  std::vector<std::string> starts;
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

// A lock that is held while a container is started or stopped, because a daemon that was killed and started again may
// ask for the same a second time.
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

// The first ERROR line of LXC's log, without time stamp and place: why a start failed. Later lines only report the same
// failure from callers further up.
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

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
}

// "" where there is no such file.
Result<std::string> read_text(const std::string& path) {
  const auto bytes = files::read_file(path, limits::kSwitchFileBytesMax);
  if (bytes) return std::string(as_text(*bytes));
  if (bytes.error().code == Code::not_found) return std::string();
  return tl::unexpected(bytes.error());
}

// The same for a text that others have checked, or that is for people only: "" also where it cannot be read.
std::string read_note(const std::string& path) {
  return read_text(path).value_or("");
}

// The new file, which is to be put in place, or the current one when there is no new one.
Result<std::string> next_text(const std::string& folder, const char* next, const char* now) {
  return read_text(::access((folder + next).c_str(), F_OK) == 0 ? folder + next : folder + now);
}

// Quotes text as one word of a shell command.
std::string shell_word(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Not where the release wants it so.
bool has_lost_its_overlay(lxc_container* c) {
  char options[256] = "";
  const int size = c->get_config_item(c, "lxc.rootfs.options", options, sizeof options);
  const std::string wanted = "," + std::string(size > 0 ? options : "") + ",";
  return wanted.find(",ro,") == std::string::npos && is_read_only_overlay(c->init_pid(c), c->get_config_path(c));
}

// A container that is to be started.
struct Next {
  std::string name;
  std::string folder;
  Container container;
  std::vector<std::string> init;

  [[nodiscard]] Status load(const std::string& lxcpath);
  [[nodiscard]] Status load_mounts(const std::string& lxcpath);
  [[nodiscard]] Status add_hook(const char* key, const char* command, const std::string& lxcpath);
  [[nodiscard]] Status put_in_place() const;
  // Starts it in a process of its own, because start() moves its caller into the monitor's cgroup. Prints its line.
  [[nodiscard]] Status start(const std::string& lxcpath);
};

// Loads the new description, or the current one when there is no new one, before anything is stopped.
Status Next::load(const std::string& lxcpath) {
  container.reset(lxc_container_new(name.c_str(), lxcpath.c_str()));
  if (!container) return fail(Code::io, "cannot look at " + folder);
  const std::string next = folder + kNextConfig;
  if (::access(next.c_str(), F_OK) == 0) {
    container->clear_config(container.get());
    if (!container->load_config(container.get(), next.c_str()))
      return fail(Code::io, "no usable LXC configuration in " + next);
  } else if (!container->is_defined(container.get())) {
    return fail(Code::io, "no usable LXC configuration in " + folder + kConfig);
  }
  INSTAR_TRY(const std::string arguments, next_text(folder, kNextInit, kInit));  // a zero byte after each
  for (std::size_t at = 0; at < arguments.size(); at += init.back().size() + 1)
    init.emplace_back(arguments.c_str() + at);
  return load_mounts(lxcpath);
}

Status Next::load_mounts(const std::string& lxcpath) {
  INSTAR_TRY(const auto image, next_text(folder, kNextImage, kImage));
  if (!image.empty()) {
    if (!parse_container_image(image))
      return fail(Code::malformed, folder + kImage + " does not say which image is to be mounted");
    INSTAR_CHECK(add_hook("lxc.hook.pre-mount", "mount", lxcpath));
  }
  INSTAR_TRY(const auto volumes, next_text(folder, kNextVolumes, kVolumes));
  if (!parse_container_volumes(volumes))
    return fail(Code::malformed, folder + kVolumes + " does not say where volumes are to be mounted");
  INSTAR_TRY(const auto provided, next_text(folder, kNextFiles, kFiles));
  if (!volumes.empty() || !provided.empty()) INSTAR_CHECK(add_hook("lxc.hook.mount", "volumes", lxcpath));
  return {};
}

Status Next::add_hook(const char* key, const char* command, const std::string& lxcpath) {
  INSTAR_TRY(const std::string self, own_program());
  const std::string hook =
      shell_word(self) + " " + command + " --lxcpath " + shell_word(lxcpath) + " --name " + shell_word(name) + " --";
  if (container->set_config_item(container.get(), key, hook.c_str())) return {};
  return fail(Code::io, std::string("LXC takes no ") + key + " for " + folder + ", which makes its mounts");
}

// The record is put in place last. Until then the container does not count as the wanted one.
Status Next::put_in_place() const {
  for (const auto& [from, to] :
       {std::pair(kNextConfig, kConfig), std::pair(kNextInit, kInit), std::pair(kNextImage, kImage),
        std::pair(kNextVolumes, kVolumes), std::pair(kNextFiles, kFiles), std::pair(kNextRecord, kRecord)}) {
    if (::rename((folder + from).c_str(), (folder + to).c_str()) != 0 && errno != ENOENT)
      return fail(Code::io, "cannot put " + folder + to + " in place: " + std::strerror(errno));
  }
  return {};
}

Status Next::start(const std::string& lxcpath) {
  const auto at_ms = now_ms();
  lxc_container* const c = container.get();
  JsonLine line;
  line.add("name", name).add("state", "RUNNING").add("at_ms", at_ms);
  if (state_of(c) == "RUNNING") {
    static_cast<void>(
        answer(line.add("pid", std::int64_t{c->init_pid(c)}).add("ms", std::int64_t{0}).add("already", true)));
    return {};
  }
  if (state_of(c) != "STOPPED" && !c->wait(c, "STOPPED", kSettleTimeoutS))
    return fail(Code::io, "the container is " + state_of(c) + " and stays so; stop it first");
  INSTAR_TRY(const auto orphans, end_orphans(lxcpath, name, kOrphanTimeoutMs));
  INSTAR_CHECK(put_in_place());
  [[maybe_unused]] const int emptied = ::truncate((folder + "/log").c_str(), 0);
  for (const char* const left : {kMountError, kFilesNote}) ::unlink((folder + left).c_str());
  c->want_daemonize(c, true);
  c->want_close_all_fds(c, true);
  std::vector<char*> arguments;
  for (auto& argument : init) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  if (!c->start(c, 0, init.empty() ? nullptr : arguments.data())) {
    const std::string mount_error = read_note(folder + kMountError);
    return fail(Code::io, mount_error.empty() ? first_error(folder + "/log") : mount_error);
  }
  if (has_lost_its_overlay(c)) {
    c->stop(c);
    return fail(Code::io,
                std::string(std::strerror(ENOSPC)) + " - its overlay has no work folder and can only be read");
  }
  static_cast<void>(answer(line.add("pid", std::int64_t{c->init_pid(c)})
                               .add("ms", now_ms() - at_ms)
                               .add("note", read_note(folder + kFilesNote))
                               .add("orphans", static_cast<std::int64_t>(orphans))));
  return {};
}

// The signal that the container's configuration names; 0: none.
int halt_signal(lxc_container* c) {
  char text[32] = "";
  int signal = 0;
  const int size = c->get_config_item(c, "lxc.signal.halt", text, sizeof text);
  if (size > 0 && size < static_cast<int>(sizeof text)) std::from_chars(text, text + size, signal);
  return signal;
}

// Stops a container and prints its line.
Status stop(lxc_container* c, const std::string& name, const Arguments& arguments) {
  const auto at_ms = now_ms();
  const bool ran = state_of(c) != "STOPPED";
  EndAnswer answered{Ending::by_itself, 0};  // what nobody asks has nothing to answer
  if (ran) {
    const pid_t first = c->init_pid(c);
    const bool is_asked = arguments.timeout_ms > 0 && first > 1 && state_of(c) == "RUNNING";
    if (is_asked)
      answered = ask_to_end(
          {first, halt_signal(c), [&] { return container_processes(arguments.lxcpath, name); }, arguments.timeout_ms});
    // One that has ended to boot again is there again.
    if (!is_asked || answered.ending != Ending::by_itself || !c->wait(c, "STOPPED", kEndedTimeoutS)) c->stop(c);
    if (!c->wait(c, "STOPPED", kSettleTimeoutS))
      return fail(Code::io, "the container does not stop, it is " + state_of(c));
  }
  INSTAR_TRY(const auto orphans, end_orphans(arguments.lxcpath, name, kOrphanTimeoutMs));
  static_cast<void>(answer(JsonLine()
                               .add("name", name)
                               .add("state", "STOPPED")
                               .add("ran", ran)
                               .add("ending", ending_name(answered.ending))
                               .add("signal", signal_name(answered.signal))
                               .add("at_ms", at_ms)
                               .add("ms", now_ms() - at_ms)
                               .add("orphans", static_cast<std::int64_t>(orphans))));
  return {};
}

int answer_failed(const std::string& lxcpath, const std::string& name, const Error& error) {
  return answer(JsonLine()
                    .add("name", name)
                    .add("failed", error.message)
                    .add("no_room", is_for_want_of_room(error.message, lxcpath + "/" + name)));
}

// The child prints the line with the outcome.
bool start_in_child(Next& next, const std::string& lxcpath) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto started = next.start(lxcpath);
    if (!started) static_cast<void>(answer_failed(lxcpath, next.name, started.error()));
    ::_exit(started ? 0 : 1);
  }
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (child > 0 && WIFEXITED(status)) return WEXITSTATUS(status) == 0;
  static_cast<void>(answer_failed(
      lxcpath, next.name, {Code::io, child < 0 ? "no process to start it in" : "the process that starts it died"}));
  return false;
}

int switch_over(const Arguments& arguments) {
  const auto folder_of = [&](const std::string& name) { return arguments.lxcpath + "/" + name; };
  // All locks are taken at once, always in the same order.
  std::set<std::string> names(arguments.stops.begin(), arguments.stops.end());
  names.insert(arguments.starts.begin(), arguments.starts.end());
  std::vector<std::unique_ptr<Lock>> locks;
  for (const auto& name : names) {
    locks.push_back(std::make_unique<Lock>(folder_of(name) + "/lock"));
    if (!locks.back()->held())
      return answer_failed(arguments.lxcpath, name,
                           {Code::io, "cannot lock " + folder_of(name) + ": " + std::strerror(errno)});
  }
  std::vector<std::pair<std::string, Container>> stops;
  for (const auto& name : arguments.stops) {
    stops.emplace_back(name, Container(lxc_container_new(name.c_str(), arguments.lxcpath.c_str())));
    if (!stops.back().second)
      return answer_failed(arguments.lxcpath, name, {Code::io, "cannot look at " + folder_of(name)});
  }
  std::vector<Next> starts;
  for (const auto& name : arguments.starts) {
    Next next{name, folder_of(name), nullptr, {}};
    if (const auto loaded = next.load(arguments.lxcpath); !loaded)
      return answer_failed(arguments.lxcpath, name, loaded.error());
    starts.push_back(std::move(next));
  }
  for (const auto& [name, container] : stops) {
    if (const auto stopped = stop(container.get(), name, arguments); !stopped)
      return answer_failed(arguments.lxcpath, name, stopped.error());
  }
  for (auto& next : starts) {
    if (!start_in_child(next, arguments.lxcpath)) return 0;
  }
  return 0;
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

// What a hook prints is lost, so it writes the reason to a file.
int end_hook(const std::string& folder, const Status& mounted) {
  if (mounted) return 0;
  std::ofstream(folder + kMountError) << mounted.error().message;
  return answer_error(mounted.error().message);
}

// LXC's pre-mount hook.
int mount(const Arguments& arguments) {
  const std::string folder = arguments.lxcpath + "/" + arguments.name();
  const auto image = parse_container_image(read_note(folder + kImage));
  return end_hook(folder, image
                              ? mount_image(*image, folder + kLower)
                              : Status(fail(Code::malformed, folder + kImage + " does not say what is to be mounted")));
}

// LXC's mount hook.
int volumes(const Arguments& arguments) {
  const std::string folder = arguments.lxcpath + "/" + arguments.name();
  const auto wanted = parse_container_volumes(read_note(folder + kVolumes));
  const char* const root = std::getenv("LXC_ROOTFS_MOUNT");
  if (!wanted || root == nullptr)
    return end_hook(folder,
                    fail(Code::malformed, folder + kVolumes + " does not say what is to be mounted, or LXC not where"));
  if (const auto mounted = mount_volumes(*wanted, root); !mounted) return end_hook(folder, mounted);
  if (const auto files = parse_container_files(read_note(folder + kFiles)))
    for (const auto& why : provide_files(*files, root))
      std::ofstream(folder + kFilesNote, std::ios::app) << why << "; ";
  return 0;
}

// Keeps the last line that is not empty.
class LastLine {
 public:
  void feed(const char* data, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      if (data[i] != '\n') {
        if (current_.size() < limits::kInsideLineBytesMax) current_ += data[i];
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

// This runs inside the container.
int run_command(void* payload) {
  char* const* const command = static_cast<char* const*>(payload);
  ::setsid();  // a process group of its own, so that all of it can be killed
  ::execvp(command[0], command);
  std::fprintf(stderr, "cannot run %s: %s\n", command[0], std::strerror(errno));
  std::fflush(stderr);
  ::_exit(errno == ENOENT ? 127 : 126);
}

struct Ended {
  bool timed_out = false;
  int status = 0;
};

// Reads what the command prints, until it ends or its time is over.
Ended watch(pid_t pid, int output, std::uint32_t timeout_ms, LastLine& line) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  Ended ended;
  const auto drain = [&] {
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(output, buffer, sizeof buffer)) > 0;)
      line.feed(buffer, static_cast<std::size_t>(got));
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
    if ((waiting.revents & POLLHUP) != 0) ::usleep(2'000);  // it has closed its output but not ended yet
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
  if (nothing < 0 || ::pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0)
    return answer_error(std::string("no pipe: ") + std::strerror(errno));
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
    } else if (key == "--stop") {
      arguments.stops.emplace_back(argv[i + 1]);
    } else if (key == "--start") {
      arguments.starts.emplace_back(argv[i + 1]);
    } else if (key != "--timeout-ms" || !parse_number(argv[i + 1], arguments.timeout_ms)) {
      return false;
    }
  }
  for (++i; i < argc; ++i) arguments.rest.push_back(argv[i]);
  arguments.rest.push_back(nullptr);
  return !arguments.lxcpath.empty();
}

// What the client has for itself, and containers would inherit: files that nobody else may read, and that the kernel
// spares it when memory runs out.
void shed_what_is_the_clients() {
  constexpr const char* kSpared = "/proc/self/oom_score_adj";
  ::umask(022);
  if (read_note(kSpared).starts_with('-')) std::ofstream(kSpared) << "0";
}

int run(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "version") == 0) return answer(JsonLine().add("lxc", lxc_get_version()));
  Arguments arguments;
  shed_what_is_the_clients();
  if (parse(argc, argv, arguments)) {
    const bool names_only = arguments.stops.empty() && arguments.starts.empty();
    if (arguments.command == "switch" && !names_only && arguments.names.empty()) return switch_over(arguments);
    if (arguments.command == "state" && names_only && !arguments.names.empty()) return state(arguments);
    if (arguments.command == "mount" && names_only && arguments.names.size() == 1) return mount(arguments);
    if (arguments.command == "volumes" && names_only && arguments.names.size() == 1) return volumes(arguments);
    if (arguments.command == "probe" && names_only && arguments.names.size() == 1 && arguments.rest.size() > 1)
      return probe(arguments);
  }
  std::fprintf(
      stderr,
      "usage: instar-lxc switch --lxcpath FOLDER [--timeout-ms N] [--stop NAME]... [--start NAME]...\n"
      "       instar-lxc state --lxcpath FOLDER --name NAME...\n"
      "       instar-lxc probe --lxcpath FOLDER --name NAME [--timeout-ms N] -- COMMAND ARGUMENT...\n"
      "       instar-lxc mount --lxcpath FOLDER --name NAME -- [WHAT LXC SAYS]\n"
      "       instar-lxc volumes --lxcpath FOLDER --name NAME -- [WHAT LXC SAYS]\n"
      "       instar-lxc version\n"
      "The device client calls this, LXC the last two; people use lxc-ls, lxc-info and lxc-attach with -P FOLDER.\n");
  return 2;
}

}  // namespace
}  // namespace instar::device

int main(int argc, char** argv) {
  return instar::device::run(argc, argv);
}

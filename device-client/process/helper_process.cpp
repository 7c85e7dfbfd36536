#include "device-client/process/helper_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/limits.hpp"

extern char** environ;

namespace instar::device {
namespace {

// A program may end while something that it started still holds its output, or close its output and run on. Its end is
// then found by looking this often.
constexpr std::int64_t kLookMs = 50;

}  // namespace

std::string HelperEnd::text() const {
  auto text = timed_out     ? std::string("it did not end in time and was killed")
              : signal != 0 ? "killed by signal " + std::to_string(signal)
                            : "exit code " + std::to_string(exit_code);
  if (!line.empty()) text += ": " + line;
  return text;
}

Result<HelperProcess> HelperProcess::spawn(const HelperCommand& command, MonotonicMs now) {
  const auto& [program, arguments, options] = command;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
    return fail(Code::io, std::string("cannot make a pipe: ") + std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  if (options.takes_errors)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  else
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  // The helper gets a process group of its own: a signal that ends the daemon must not end a switch half way.
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> variables;
  for (char** each = environ; *each != nullptr; ++each) variables.push_back(*each);
  for (const auto& each : options.environment) variables.push_back(const_cast<char*>(each.c_str()));
  variables.push_back(nullptr);
  HelperProcess process;
  process.what_ = program.substr(program.rfind('/') + 1) + (arguments.empty() ? "" : " " + arguments[0]);
  const int error = ::posix_spawn(&process.pid_, program.c_str(), &actions, &attributes, argv.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  ::close(ends[1]);
  if (error != 0) {
    ::close(ends[0]);
    process.pid_ = -1;
    return fail(error == ENOENT ? Code::not_found : Code::io, "cannot run " + program + ": " + std::strerror(error));
  }
  process.fd_ = ends[0];
  process.deadline_ = now + options.timeout_ms;
  process.takes_errors_ = options.takes_errors;
  return process;
}

HelperProcess::HelperProcess(HelperProcess&& other) noexcept {
  *this = std::move(other);
}

HelperProcess& HelperProcess::operator=(HelperProcess&& other) noexcept {
  if (this == &other) return *this;
  release();
  what_ = std::move(other.what_);
  pid_ = std::exchange(other.pid_, -1);
  fd_ = std::exchange(other.fd_, -1);
  deadline_ = other.deadline_;
  output_ = std::move(other.output_);
  takes_errors_ = other.takes_errors_;
  closed_ = other.closed_;
  timed_out_ = other.timed_out_;
  status_ = other.status_;
  return *this;
}

HelperProcess::~HelperProcess() {
  release();
}

void HelperProcess::release() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  if (pid_ > 0) ::waitpid(pid_, nullptr, WNOHANG);
  pid_ = -1;
}

bool HelperProcess::poll(MonotonicMs now) {
  if (pid_ <= 0) return true;
  char buffer[4096];
  ssize_t got = 0;
  while ((got = ::read(fd_, buffer, sizeof buffer)) > 0)
    if (output_.size() < limits::kProgramOutputBytesMax) output_.append(buffer, static_cast<std::size_t>(got));
  closed_ = closed_ || got == 0;
  // instar-lxc ends as soon as it has closed its output, so waiting for it takes no time.
  pid_t ended = ::waitpid(pid_, &status_, closed_ && !takes_errors_ ? 0 : WNOHANG);
  if (ended == 0 && now >= deadline_) {
    timed_out_ = true;
    // A script is killed with everything that it waits for. Of instar-lxc only itself: its containers run on.
    ::kill(takes_errors_ ? -pid_ : pid_, SIGKILL);
    ended = ::waitpid(pid_, &status_, 0);
  }
  if (ended == 0) return false;
  // Output that it wrote between the last read and its end.
  while ((got = ::read(fd_, buffer, sizeof buffer)) > 0) output_.append(buffer, static_cast<std::size_t>(got));
  pid_ = -1;
  return true;
}

MonotonicMs HelperProcess::deadline(MonotonicMs now) const noexcept {
  return closed_ || takes_errors_ ? std::min(deadline_, now + kLookMs) : deadline_;
}

HelperEnd HelperProcess::ended() const {
  HelperEnd end;
  end.timed_out = timed_out_;
  end.exit_code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 0;
  end.signal = WIFSIGNALED(status_) ? WTERMSIG(status_) : 0;
  const auto last = output_.find_last_not_of(" \t\r\n");
  if (last == std::string::npos) return end;
  const auto before = output_.find_last_of('\n', last);
  const auto first = before == std::string::npos ? 0 : before + 1;
  end.line = output_.substr(first, std::min(last + 1 - first, limits::kProgramLineBytesMax));
  return end;
}

std::vector<JsonFields> HelperProcess::printed() const {
  std::vector<JsonFields> lines;
  static_cast<void>(read_lines(lines));
  return lines;
}

Result<std::vector<JsonFields>> HelperProcess::result() const {
  if (timed_out_) return fail(Code::unavailable, what_ + " did not answer in time and was killed");
  std::vector<JsonFields> lines;
  INSTAR_CHECK(read_lines(lines));
  if (!WIFEXITED(status_) || WEXITSTATUS(status_) != 0 || lines.empty())
    return fail(Code::io,
                what_ + (WIFSIGNALED(status_) ? " was killed by signal " + std::to_string(WTERMSIG(status_))
                                              : " failed with exit code " + std::to_string(WEXITSTATUS(status_))));
  return lines;
}

// Reads up to the first line that is an error or that cannot be read, as the last line of a killed helper may be.
Status HelperProcess::read_lines(std::vector<JsonFields>& lines) const {
  std::string_view rest = output_;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    INSTAR_TRY(auto fields, JsonFields::parse(rest.substr(0, end)));
    if (const auto error = fields.text("error")) return fail(Code::io, *error);
    lines.push_back(std::move(fields));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return {};
}

}  // namespace instar::device

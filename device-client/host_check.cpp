#include "device-client/host_check.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/base/limits.hpp"
#include "core/base/server_uri.hpp"
#include "core/base/text.hpp"
#include "core/revision/requirements.hpp"
#include "core/trust/root.hpp"
#include "device-client/disk_watch.hpp"
#include "device-client/host.hpp"
#include "device-client/process/helper_process.hpp"
#include "files/files.hpp"
#include "files/posix.hpp"

namespace instar::device {
namespace {

using Kind = Finding::Kind;
using Findings = std::vector<Finding>;

constexpr std::uint32_t kVersionMs = 20'000;
constexpr std::string_view kOldestLxc = "5.0";
constexpr std::string_view kTried = "instar-check-";
// Of shells and of instar-lxc.
constexpr int kCannotRun = 126;
constexpr int kNotFound = 127;

std::string reason(int error_number) {
  return std::strerror(error_number);
}

bool is_example_host(std::string_view host) {
  // The names of RFC 2606 that nobody has.
  constexpr std::array kNobodys{"example", "invalid", "example.com", "example.org", "example.net"};
  return std::ranges::any_of(kNobodys, [&](std::string_view name) {
    return host == name || (host.ends_with(name) && host[host.size() - name.size() - 1] == '.');
  });
}

// A key of the configuration that names a file which must be there. `cure`: what to do when it is not.
bool check_file(Findings& out, const std::string& key, const std::string& path, const std::string& cure) {
  if (path.empty()) return false;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  const int error_number = fd < 0 ? errno : ::fstat(fd, &status) != 0 ? errno : S_ISREG(status.st_mode) ? 0 : EISDIR;
  if (fd >= 0) ::close(fd);
  if (error_number == 0) return true;
  out.push_back({Kind::mistake, key + " = " + path + ": " +
                                    (error_number == EISDIR ? "that is not a file" : reason(error_number)) + "; " +
                                    cure});
  return false;
}

void check_secret(Findings& out, const std::string& key, const std::string& path) {
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0 || (status.st_mode & (S_IRWXG | S_IRWXO)) == 0) return;
  // Systems have groups for private keys.
  if (key == "key_file" && (status.st_mode & (S_IRWXO | S_IWGRP)) == 0) return;
  out.push_back(
      {Kind::mistake, key + " = " + path + ": others than its owner can read or write it; run chmod 600 " + path});
}

void check_root_file(Findings& out, const Config& config) {
  const auto cure = "it is the fleet's first root document: copy root.instar, which `instar keygen` made, there";
  if (!check_file(out, "root_file", config.root_file, cure)) return;
  const auto bytes = files::read_file(config.root_file, limits::kMessageBytesMax);
  const auto trust = bytes ? trust::TrustStore::from_pinned(*bytes) : tl::unexpected(bytes.error());
  if (!trust)
    out.push_back({Kind::mistake,
                   "root_file = " + config.root_file + " is no root document: " + trust.error().message + "; " + cure});
}

void check_example(Findings& out, const Config& config) {
  const auto server = parse_server_uri(config.server);
  if (server && is_example_host(server->host))
    out.push_back({Kind::mistake,
                   "server = " + config.server + ": that is the example's; write the name or address of the broker"});
  if (server && !config.server_has_port)
    out.push_back({Kind::note, "server has no port: " + std::to_string(server->port) + " is taken"});
  if (config.device_id.str() == "press-12")
    out.push_back({Kind::mistake, "device_id = press-12: that is the example's; give each device a name of its own"});
}

// --- the state folder --------------------------------------------------------------------------------------------

// The folder itself, or the one above it that there is.
std::string nearest_folder(std::string path) {
  struct stat status {};
  while (path.size() > 1 && ::stat(path.c_str(), &status) != 0) path.resize(std::max<std::size_t>(path.rfind('/'), 1));
  return path;
}

// In a process and a mount namespace of its own, so that no mount is left whatever happens. Returns the errno of the
// first call that fails; 0: it works.
int try_overlay(const std::string& folder) {
  const std::string options = "lowerdir=" + folder + "/lower,upperdir=" + folder + "/upper,workdir=" + folder + "/work";
  const std::string merged = folder + "/merged";
  const pid_t child = ::fork();
  if (child < 0) return 0;
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0) ::_exit(errno);
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()) != 0) ::_exit(errno);
    const int file = ::open((merged + "/tried").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ::_exit(file < 0 ? errno : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

std::string overlay_cure(const Config& config, int error_number) {
  const std::string where = "state_dir = " + config.state_dir;
  switch (error_number) {
    case ENODEV: return "this kernel has no overlayfs, which containers run on: CONFIG_OVERLAY_FS, or its module";
    case EPERM:
    case EACCES:
      return "overlays may not be mounted here (" + reason(error_number) + "): the client needs the rights of root";
    case EROFS:
      return where +
             " is on a file system that is mounted read-only, or lets no overlay write to it: put it on another one";
    default:
      return where + ": its file system cannot be the upper layer of an overlay (" + reason(error_number) +
             "), as an overlay itself, NFS and FAT cannot: put state_dir on ext4, xfs, f2fs, ubifs or btrfs";
  }
}

// Not for want of memory or room, which passes.
bool is_of_the_machine(int error_number) {
  return error_number == EINVAL || error_number == ENODEV || error_number == EPERM || error_number == EACCES ||
         error_number == EROFS || error_number == EOPNOTSUPP;
}

// On a full disk an overlay can only be read, for want of its work folder.
bool has_room(const std::string& folder) {
  const auto space = files::free_space(folder);
  return space && !is_full(*space);
}

// What a check that was killed has left.
void remove_stale(const std::string& folder) {
  constexpr std::time_t kStaleS = 60;
  std::vector<std::string> stale;
  if (const files::OpenFolder dir(::opendir(folder.c_str())); dir != nullptr) {
    while (const dirent* item = ::readdir(dir.get())) {
      struct stat status {};
      const auto path = folder + "/" + item->d_name;
      if (std::string_view(item->d_name).starts_with(kTried) && ::lstat(path.c_str(), &status) == 0 &&
          std::time(nullptr) - status.st_mtime > kStaleS)
        stale.push_back(path);
    }
  }
  for (const auto& path : stale) static_cast<void>(files::remove_tree(path));
}

void try_folder(Findings& out, const Config& config, const std::string& folder) {
  for (const char* name : {"/lower", "/upper", "/work", "/merged"})
    if (::mkdir((folder + name).c_str(), 0700) != 0) return;  // a full disk says nothing of the machine
  if (const int failed = try_overlay(folder); is_of_the_machine(failed) && (failed != EROFS || has_room(folder)))
    out.push_back({Kind::machine, overlay_cure(config, failed)});
  const auto file = folder + "/file";
  const files::Fd made(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!made.is_open()) return;
  if (::link(file.c_str(), (folder + "/other").c_str()) != 0 && errno != ENOSPC)
    out.push_back({Kind::note, "state_dir = " + config.state_dir + ": its file system has no hard links (" +
                                   reason(errno) + "): each release takes all of its room, whatever it shares"});
  if (::geteuid() == 0 && ::fchown(made.get(), 1, 1) != 0)
    out.push_back({Kind::machine, "state_dir = " + config.state_dir + ": its file system keeps no owners of files (" +
                                      reason(errno) + "): put it on ext4, xfs, f2fs, ubifs or btrfs"});
}

void check_state_dir(Findings& out, const Config& config) {
  const auto folder = nearest_folder(config.state_dir);
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) == 0) {
    if ((disk.f_flag & ST_RDONLY) != 0) return out.push_back({Kind::machine, overlay_cure(config, EROFS)});
    if (config.self_update && (disk.f_flag & ST_NOEXEC) != 0)
      out.push_back({Kind::note, "state_dir = " + config.state_dir +
                                     " is mounted noexec: a client that a release brings (self_update) cannot run"});
  }
  if (::geteuid() != 0)
    return out.push_back({Kind::note, "only root can try whether containers can run from state_dir: run this as root"});
  remove_stale(folder);
  std::string tried = folder + "/" + std::string(kTried) + "XXXXXX";
  if (::mkdtemp(tried.data()) == nullptr) {
    if (errno != ENOSPC && errno != EDQUOT)
      out.push_back({Kind::machine,
                     "state_dir = " + config.state_dir + ": nothing can be made in " + folder + ": " + reason(errno)});
    return;
  }
  if (tried.find_first_of(":,\\") == std::string::npos) try_folder(out, config, tried);
  static_cast<void>(files::remove_tree(tried));
}

// --- the machine --------------------------------------------------------------------------------------------------

void check_kernel(Findings& out) {
  std::string missing;
  for (const char* name : {"mnt", "pid", "ipc", "uts", "net"})
    if (!files::exists(std::string("/proc/self/ns/") + name))
      missing += (missing.empty() ? "" : ", ") + std::string(name);
  if (!missing.empty())
    out.push_back({Kind::machine, "this kernel lacks the namespaces " + missing +
                                      ", which containers need: CONFIG_NAMESPACES and the one for each"});
  const auto mounts = files::read_file("/proc/self/mounts", limits::kProgramOutputBytesMax);
  if (mounts && cgroup_mode(as_text(*mounts)).empty())
    out.push_back({Kind::machine,
                   "no cgroups are mounted, and LXC starts nothing without: mount -t cgroup2 none /sys/fs/cgroup"});
}

void check_lxc(Findings& out, const Result<std::string>& helper) {
  if (!helper) return out.push_back({Kind::machine, helper.error().message});
  const auto start = read_clocks().monotonic;
  auto process = HelperProcess::spawn({*helper, {"version"}, {kVersionMs, {}, true}}, start);
  // Want of memory or of time passes, and an instar-lxc of before does not know the question.
  if (!process) {
    if (process.error().code == Code::not_found)
      out.push_back({Kind::machine, *helper + " cannot be run: " + process.error().message});
    return;
  }
  while (!process->poll(read_clocks().monotonic)) {
    pollfd output{process->fd(), POLLIN, 0};
    ::poll(&output, process->fd() < 0 ? 0 : 1, 20);
  }
  const auto end = process->ended();
  const bool lacks_library = end.exit_code == kNotFound || end.line.find("shared librar") != std::string::npos;
  if (!end.ok() && (lacks_library || end.exit_code == kCannotRun)) {
    return out.push_back({Kind::machine, *helper +
                                             " cannot be run: " + clean_text(end.text(), limits::kProgramLineBytesMax) +
                                             (lacks_library ? "; install LXC's library (liblxc1, or lxc)" : "")});
  }
  const auto line = JsonFields::parse(end.line);
  const auto version = line ? line->text("lxc").value_or("") : "";
  if (!version.empty() && !revision::version_at_least(version, kOldestLxc))
    out.push_back({Kind::machine, "LXC is " + version + " here, and the client needs " + std::string(kOldestLxc) +
                                      " or later: install it"});
}

void check_devices(Findings& out, const Config& config) {
  if (config.network == Network::bridge && !files::exists("/sys/class/net/" + config.bridge + "/bridge"))
    out.push_back({Kind::note, "container_network = bridge:" + config.bridge +
                                   ": there is no such bridge now; containers start once there is"});
  if (!config.watchdog.empty() && !files::exists(config.watchdog))
    out.push_back({Kind::mistake, "watchdog = " + config.watchdog +
                                      ": there is no such device; take the line away, or load its driver"});
}

}  // namespace

std::string cgroup_mode(std::string_view mounts) {
  bool v1 = false;
  bool v2 = false;
  while (!mounts.empty()) {
    const auto end = mounts.find('\n');
    const auto line = mounts.substr(0, end);
    v2 = v2 || line.find(" cgroup2 ") != std::string_view::npos;
    v1 = v1 || line.find(" cgroup ") != std::string_view::npos;
    mounts = end == std::string_view::npos ? std::string_view() : mounts.substr(end + 1);
  }
  if (v1 && v2) return "cgroup v1 and v2";
  return v2 ? "cgroup v2" : v1 ? "cgroup v1" : "";
}

std::vector<Finding> check_files(const Config& config, bool needs_root) {
  Findings out;
  check_example(out, config);
  if (needs_root) check_root_file(out, config);
  const std::string named = "put it there, or take the line away";
  check_file(out, "ca_file", config.ca_file, named);
  check_file(out, "certificate_file", config.certificate_file, named);
  for (const auto& [key, path] : {std::pair{"key_file", config.key_file}, {"password_file", config.password_file}})
    if (check_file(out, key, path, named)) check_secret(out, key, path);
  check_secret(out, "enrolment_token_file", config.enrolment_token_file);
  return out;
}

std::vector<Finding> check_machine(const Config& config, const Result<std::string>& helper) {
  Findings out;
  check_state_dir(out, config);
  check_kernel(out);
  check_lxc(out, helper);
  check_devices(out, config);
  return out;
}

std::string why_none_runs(const std::vector<Finding>& findings) {
  std::string all;
  for (const auto& finding : findings)
    if (finding.kind == Kind::machine) all += (all.empty() ? "" : "; ") + finding.text;
  return all;
}

}  // namespace instar::device

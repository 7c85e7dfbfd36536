#include "device-client/containers/container_folders.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "device-client/process/switch_files.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;

// Neither atomic nor durable: all of these files are written again before each start.
Status write_plain(const std::string& path, std::string_view content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool ok = fd >= 0 && ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!ok) return fail(Code::io, "cannot write " + path + ": " + std::strerror(error));
  return {};
}

}  // namespace

ContainerFolders::ContainerFolders(const DeviceId& device, std::string state_dir)
    : state_dir_(std::move(state_dir)), lxc_folder_(state_dir_ + "/lxc"), prefix_(device.str() + ".") {}

std::vector<std::string> ContainerFolders::names() const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(lxc_folder_, error), end; !error && it != end; it.increment(error))
    if (const auto name = it->path().filename().string();
        name.starts_with(prefix_) && fs::exists(it->path() / "config", error))
      names.push_back(name);
  std::ranges::sort(names);
  return names;
}

std::optional<RunRecord> ContainerFolders::record(const std::string& name) const {
  return read_run_record(lxc_folder_ + "/" + name);
}

Status ContainerFolders::prepare(const ContainerPlan& plan) const {
  std::error_code error;
  if (!fs::is_directory(plan.tree, error))
    return fail(Code::not_found, "its tree " + plan.tree + " is missing; the revision must be fetched again");
  INSTAR_CHECK(make_upper(plan));
  INSTAR_CHECK(files::make_folders(plan.lxc_folder));
  for (const auto& volume : plan.volumes) INSTAR_CHECK(make_volume(volume));
  std::string init;
  for (const auto& argument : plan.init) init += argument + '\0';
  const RunRecord record{plan.revision, plan.start_order, plan.container, plan.fingerprint};
  INSTAR_CHECK(write_plain(plan.lxc_folder + kNextConfig, plan.config));
  INSTAR_CHECK(write_plain(plan.lxc_folder + kNextInit, init));
  INSTAR_CHECK(write_plain(plan.lxc_folder + kNextImage, plan.image));
  INSTAR_CHECK(write_plain(plan.lxc_folder + kNextVolumes, plan.mounts));
  return write_plain(plan.lxc_folder + kNextRecord, format_run_record(record));
}

// The container sees the upper folder as its root, so it gets the mode and owner of the tree's root. Those of an
// image's root are known when it is mounted: the helper sets them then.
Status ContainerFolders::make_upper(const ContainerPlan& plan) const {
  const std::string upper = plan.writable + "/upper";
  INSTAR_CHECK(files::make_folders(upper));
  struct stat root {};
  if (plan.image.empty() &&
      (::stat(plan.tree.c_str(), &root) != 0 || ::chmod(upper.c_str(), root.st_mode & 07777U) != 0 ||
       ::chown(upper.c_str(), root.st_uid, root.st_gid) != 0))
    return fail(Code::io, "cannot prepare " + upper + ": " + std::strerror(errno));
  return {};
}

// A volume that is there is left as it is.
Status ContainerFolders::make_volume(const wire::Volume& volume) const {
  const std::string path = state_dir_ + "/volumes/" + volume.name;
  std::error_code error;
  if (fs::exists(path, error)) return {};
  INSTAR_CHECK(files::make_folders(path));
  if (::chown(path.c_str(), volume.uid, volume.gid) != 0 || ::chmod(path.c_str(), volume.mode) != 0)
    return fail(Code::io, "cannot make volume " + path + ": " + std::strerror(errno));
  return {};
}

std::vector<Error> ContainerFolders::remove_all_but(const std::set<std::string>& kept) const {
  std::vector<Error> errors;
  for (const auto& name : names()) {
    if (kept.contains(name)) continue;
    if (const auto removed = files::remove_tree(lxc_folder_ + "/" + name); !removed) errors.push_back(removed.error());
  }
  return errors;
}

}  // namespace instar::device

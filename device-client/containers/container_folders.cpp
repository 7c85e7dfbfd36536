#include "device-client/containers/container_folders.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/base/limits.hpp"
#include "device-client/process/switch_files.hpp"
#include "files/files.hpp"
#include "files/posix.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;

// Neither atomic nor durable: all of these files are written again before each start. What is in place already is not:
// so a container can be started as before on a full disk.
Status write_next(const std::string& folder, const char* next, const char* now, std::string_view content) {
  const auto path = folder + next;
  const auto there = files::read_file(folder + now, limits::kSwitchFileBytesMax);
  const bool is_in_place = path == folder + now || !files::exists(path);
  if (there && as_text(*there) == content && is_in_place) return {};
  INSTAR_TRY(const auto file, files::open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  return files::write_all(file.get(), as_bytes(content), path);
}

}  // namespace

ContainerFolders::ContainerFolders(const DeviceId& device, std::string state_dir)
    : state_dir_(std::move(state_dir)),
      lxc_folder_(state_dir_ + "/lxc"),
      prefix_(device.str() + "."),
      names_(state_dir_) {}

std::vector<std::string> ContainerFolders::names() const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(lxc_folder_, error), end; !error && it != end; it.increment(error))
    if (const auto name = it->path().filename().string(); is_ours(name) && fs::exists(it->path() / "config", error))
      names.push_back(name);
  std::ranges::sort(names);
  return names;
}

// A state folder has one client at a time, so what carries a record of one is this device's, whatever its name was.
bool ContainerFolders::is_ours(const std::string& name) const {
  if (name.starts_with(prefix_)) return true;
  const auto started = record(name);
  return started && name.ends_with("." + started->container) &&
         DeviceId::parse(name.substr(0, name.size() - started->container.size() - 1)).has_value();
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
  INSTAR_CHECK(write_next(plan.lxc_folder, kNextConfig, kConfig, plan.config));
  INSTAR_CHECK(write_next(plan.lxc_folder, kNextInit, kInit, init));
  INSTAR_CHECK(write_next(plan.lxc_folder, kNextImage, kImage, plan.image));
  INSTAR_CHECK(write_next(plan.lxc_folder, kNextVolumes, kVolumes, plan.mounts));
  INSTAR_CHECK(write_next(plan.lxc_folder, kNextFiles, kFiles, plan.files));
  const auto hosts = names_.hosts_for(plan.host_name, plan.reach == Reach::host);
  INSTAR_CHECK(write_next(plan.lxc_folder, kHosts, kHosts, hosts));
  return write_next(plan.lxc_folder, kNextRecord, kRecord, format_run_record(record));
}

// The container sees the upper folder as its root, so it gets the mode and owner of the tree's root. Those of an
// image's root are known when it is mounted: the helper sets them then.
Status ContainerFolders::make_upper(const ContainerPlan& plan) const {
  const std::string upper = plan.writable + "/upper";
  INSTAR_CHECK(files::make_folders(upper));
  INSTAR_CHECK(files::make_folders(plan.writable + "/work"));  // or LXC would, which has no reserve
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

Status ContainerFolders::clear_layer(const ContainerPlan& plan) const {
  if (!files::exists(plan.writable)) return {};
  const auto trash = state_dir_ + "/trash";
  const auto to = trash + "/layer-" + std::to_string(plan.revision) + "-" + plan.container;
  INSTAR_CHECK(files::make_folders(trash, 0700));
  INSTAR_CHECK(files::remove_tree(to));
  if (files::with_room(0, [&] { return ::rename(plan.writable.c_str(), to.c_str()); }) == 0) return {};
  return files::os_error("clearing the layer", plan.writable, errno);
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

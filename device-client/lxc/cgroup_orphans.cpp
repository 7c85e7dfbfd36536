#include "device-client/lxc/cgroup_orphans.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "device-client/process/container_cgroups.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;

// Removes the deepest first. A cgroup that still has processes stays.
void remove_cgroup(const std::string& folder) {
  std::vector<std::string> folders = {folder};
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error))
    if (it->is_directory(error) && !it->is_symlink(error)) folders.push_back(it->path().string());
  std::ranges::sort(folders, [](const auto& a, const auto& b) { return a.size() > b.size(); });
  for (const auto& each : folders) ::rmdir(each.c_str());
}

}  // namespace

std::vector<int> cgroup_processes(const std::vector<std::string>& folders) {
  std::vector<int> pids;
  const auto read = [&](const fs::path& folder) {
    std::ifstream procs(folder / "cgroup.procs");
    for (int pid = 0; procs >> pid;)
      if (pid > 1) pids.push_back(pid);
  };
  for (const auto& folder : folders) {
    read(folder);
    std::error_code error;
    for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end;
         !error && it != end; it.increment(error))
      if (it->is_directory(error) && !it->is_symlink(error)) read(it->path());
  }
  std::ranges::sort(pids);
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

std::vector<int> container_processes(const std::string& lxcpath, const std::string& name) {
  return cgroup_processes(container_cgroups(CgroupOf::payload, lxcpath, name));
}

Result<std::size_t> end_orphans(const std::string& lxcpath, const std::string& name, std::uint32_t timeout_ms) {
  const auto folders = container_cgroups(CgroupOf::payload, lxcpath, name);
  auto pids = cgroup_processes(folders);
  const std::size_t count = pids.size();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!pids.empty()) {
    for (const int pid : pids) ::kill(pid, SIGKILL);
    if (std::chrono::steady_clock::now() > deadline)
      return fail(Code::io, std::to_string(pids.size()) + " processes of an earlier instance of " + name +
                                " do not end, one is " + std::to_string(pids[0]) + "; restart the device");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    pids = cgroup_processes(folders);
  }
  for (const auto& folder : folders) remove_cgroup(folder);
  for (const auto& folder : container_cgroups(CgroupOf::monitor, lxcpath, name)) remove_cgroup(folder);
  return count;
}

}  // namespace instar::device

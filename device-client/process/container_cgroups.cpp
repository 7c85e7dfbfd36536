#include "device-client/process/container_cgroups.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace instar::device {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPayload = "lxc.payload.";
constexpr std::string_view kMonitor = "lxc.monitor.";

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// `path` as mountinfo writes it, with \040 for a space and so on.
std::string unescape(std::string_view path) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\' && i + 3 < path.size()) {
      out += static_cast<char>((path[i + 1] - '0') * 64 + (path[i + 2] - '0') * 8 + (path[i + 3] - '0'));
      i += 3;
    } else {
      out += path[i];
    }
  }
  return out;
}

bool has_prefixed_name(std::string_view folder, std::string_view prefix, std::string_view name,
                       const std::function<bool(std::string_view)>& is_container) {
  if (!folder.starts_with(prefix)) return false;
  folder.remove_prefix(prefix.size());
  if (folder == name) return true;
  if (!folder.starts_with(name) || folder.size() <= name.size() || folder[name.size()] != '-') return false;
  return is_number(folder.substr(name.size() + 1)) && !is_container(folder);
}

std::vector<std::string> matching_folders(const std::vector<std::string>& mounts, std::string_view prefix,
                                          std::string_view name,
                                          const std::function<bool(std::string_view)>& is_container) {
  std::vector<std::string> found;
  for (const auto& mount : mounts) {
    std::error_code error;
    for (fs::directory_iterator it(mount, error), end; !error && it != end; it.increment(error))
      if (has_prefixed_name(it->path().filename().string(), prefix, name, is_container))
        found.push_back(it->path().string());
  }
  return found;
}

}  // namespace

std::vector<std::string> cgroup_mounts(std::string_view mountinfo) {
  std::vector<std::string> mounts;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    const auto separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    const std::string type = line.substr(separator + 3, line.find(' ', separator + 3) - separator - 3);
    if (type != "cgroup" && type != "cgroup2") continue;
    std::istringstream words(line);
    std::string word;
    for (int field = 0; field < 5; ++field) words >> word;  // the fifth is the mount point
    mounts.push_back(unescape(word));
  }
  return mounts;
}

bool is_payload_folder(std::string_view folder, std::string_view name,
                       const std::function<bool(std::string_view)>& is_container) {
  return has_prefixed_name(folder, kPayload, name, is_container);
}

std::vector<std::string> payload_folders(const std::vector<std::string>& mounts, std::string_view name,
                                         const std::function<bool(std::string_view)>& is_container) {
  return matching_folders(mounts, kPayload, name, is_container);
}

std::vector<std::string> container_cgroups(CgroupOf kind, const std::string& lxcpath, const std::string& name) {
  std::stringstream mountinfo;
  mountinfo << std::ifstream("/proc/self/mountinfo").rdbuf();
  const auto is_container = [&](std::string_view other) {
    std::error_code error;
    return fs::exists(fs::path(lxcpath) / other, error);
  };
  return matching_folders(cgroup_mounts(mountinfo.str()), kind == CgroupOf::payload ? kPayload : kMonitor, name,
                          is_container);
}

}  // namespace instar::device

#include "device-client/process/container_pause.hpp"

#include <filesystem>
#include <fstream>
#include <string_view>
#include <thread>
#include <utility>

#include "device-client/process/container_cgroups.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kUntilPaused(100);
constexpr milliseconds kBetweenLooks(1);
// Longest pause, and what containers get after it: a service that answers once a second does not notice.
constexpr milliseconds kPaused(250);
constexpr milliseconds kRest(50);

std::vector<std::string> cgroups_below(const std::string& lxcpath) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(lxcpath, error), end; !error && it != end; it.increment(error))
    for (auto& cgroup : container_cgroups(CgroupOf::payload, lxcpath, it->path().filename().string()))
      found.push_back(std::move(cgroup));
  return found;
}

// A cgroup of version 2 has the one file, one of version 1's freezer the other, and those of other hierarchies none.
// https://docs.kernel.org/admin-guide/cgroup-v2.html#core-interface-files,
// https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html
bool set_paused(const std::string& cgroup, bool paused) {
  const auto write = [&](const char* name, const char* text) {
    std::error_code error;
    const fs::path file = fs::path(cgroup) / name;
    return fs::exists(file, error) && static_cast<bool>(std::ofstream(file) << text << std::flush);
  };
  const bool second = write("cgroup.freeze", paused ? "1" : "0");
  const bool first = write("freezer.state", paused ? "FROZEN" : "THAWED");
  return first || second;
}

bool is_at_rest(const std::string& cgroup) {
  if (std::ifstream state(fs::path(cgroup) / "freezer.state"); state) {
    std::string word;
    state >> word;
    return word == "FROZEN";
  }
  std::ifstream events(fs::path(cgroup) / "cgroup.events");
  for (std::string name, value; events >> name >> value;)
    if (name == "frozen") return value == "1";
  return true;
}

}  // namespace

ContainerPause::ContainerPause(const std::string& lxcpath)
    : ContainerPause(FindCgroups([lxcpath] { return cgroups_below(lxcpath); })) {}

ContainerPause::ContainerPause(FindCgroups find) : find_(std::move(find)) {
  for (const auto& cgroup : find_()) set_paused(cgroup, false);
}

ContainerPause::~ContainerPause() {
  resume();
}

void ContainerPause::pause() {
  if (is_paused()) return;
  since_ = steady_clock::now();
  for (auto& cgroup : find_())
    if (set_paused(cgroup, true)) paused_.push_back(std::move(cgroup));
  for (const auto& cgroup : paused_)
    while (!is_at_rest(cgroup) && steady_clock::now() - since_ < kUntilPaused)
      std::this_thread::sleep_for(kBetweenLooks);
}

void ContainerPause::resume() {
  for (const auto& cgroup : std::exchange(paused_, {})) set_paused(cgroup, false);
}

int ContainerPause::resume_if_due(bool has_more_to_do) {
  if (!is_paused()) return 0;
  const bool is_long = steady_clock::now() - since_ >= kPaused;
  if (has_more_to_do && !is_long) return 0;
  resume();
  return has_more_to_do ? static_cast<int>(kRest.count()) : 0;
}

}  // namespace instar::device

#include "core/revision/settings.hpp"

#include <algorithm>
#include <array>

namespace instar::revision {
namespace {

// Resource bounds, the container's own environment and signals: nothing in here reaches outside the container.
constexpr std::array kSafeKeys = {
    std::string_view("lxc.cap.drop"),      std::string_view("lxc.no_new_privs"),
    std::string_view("lxc.environment"),   std::string_view("lxc.signal.halt"),
    std::string_view("lxc.signal.reboot"), std::string_view("lxc.signal.stop"),
    std::string_view("lxc.uts.name"),      std::string_view("lxc.init.cwd"),
    std::string_view("lxc.init.uid"),      std::string_view("lxc.init.gid"),
    std::string_view("lxc.tty.max"),       std::string_view("lxc.pty.max"),
    std::string_view("lxc.console.size"),  std::string_view("lxc.console.buffer.size"),
};
// Cgroup knobs that only take away: memory, processor share, processes, I/O weight.
constexpr std::array kSafeCgroupKnobs = {
    std::string_view("memory.limit_in_bytes"),
    std::string_view("memory.soft_limit_in_bytes"),
    std::string_view("memory.max"),
    std::string_view("memory.high"),
    std::string_view("memory.swap.max"),
    std::string_view("cpu.shares"),
    std::string_view("cpu.cfs_quota_us"),
    std::string_view("cpu.cfs_period_us"),
    std::string_view("cpu.max"),
    std::string_view("cpu.weight"),
    std::string_view("pids.max"),
    std::string_view("io.weight"),
    std::string_view("blkio.weight"),
};

bool is_safe_cgroup(std::string_view key) noexcept {
  for (const std::string_view prefix : {"lxc.cgroup.", "lxc.cgroup2."}) {
    if (key.starts_with(prefix) &&
        std::ranges::find(kSafeCgroupKnobs, key.substr(prefix.size())) != kSafeCgroupKnobs.end())
      return true;
  }
  return false;
}

bool allows(std::string_view pattern, std::string_view key) noexcept {
  if (pattern.ends_with(".*")) return key.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == key;
}

// A value with a line break would smuggle a second key into the configuration file.
bool is_one_line(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

bool is_key(std::string_view text) noexcept {
  return text.starts_with("lxc.") && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
         });
}

}  // namespace

bool is_safe_setting(std::string_view key, std::string_view value) noexcept {
  if (!is_key(key) || !is_one_line(value)) return false;
  if (key == "lxc.net.0.type") return value == "empty";
  if (key == "lxc.no_new_privs") return value == "1";
  if (key.starts_with("lxc.prlimit.")) return true;
  return std::ranges::find(kSafeKeys, key) != kSafeKeys.end() || is_safe_cgroup(key);
}

Status check_settings(const wire::Container& container, std::span<const std::string> keys_allowed) {
  for (const auto& setting : container.settings) {
    if (!is_key(setting.key) || !is_one_line(setting.value)) {
      return fail(Code::refused, "container '" + container.name + "': '" + setting.key.substr(0, 80) +
                                     "' is not an LXC key with a one-line value; correct it in the release");
    }
    if (is_safe_setting(setting.key, setting.value)) continue;
    if (std::ranges::any_of(keys_allowed, [&](const std::string& pattern) { return allows(pattern, setting.key); }))
      continue;
    return fail(Code::refused, "container '" + container.name + "' asks for " + setting.key + " = " +
                                   setting.value.substr(0, 80) +
                                   ", which is not on the safe list; allow it in this device's configuration "
                                   "(lxc_keys_allowed) or leave it out");
  }
  return {};
}

}  // namespace instar::revision

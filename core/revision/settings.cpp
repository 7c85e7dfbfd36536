#include "core/revision/settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

// --- values -------------------------------------------------------------------------------------------------

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_any(std::string_view) noexcept {
  return true;
}

bool is_one(std::string_view value) noexcept {
  return value == "1";
}

bool is_empty_network(std::string_view value) noexcept {
  return value == "empty";
}

// Without a value LXC takes over the variable of the program that starts the container: the host's.
bool is_assignment(std::string_view value) noexcept {
  return value.find('=') != std::string_view::npos && !value.starts_with('=');
}

template <std::uint64_t kMax>
bool is_at_most(std::string_view value) noexcept {
  const auto number = parse_number(value);
  return number && *number <= kMax;
}

// As LXC reads it: a number, or a number and a unit.
bool is_console_size(std::string_view value) noexcept {
  if (value == "auto") return true;
  std::uint64_t unit = 1;
  for (const auto& [name, bytes] :
       {std::pair<std::string_view, std::uint64_t>{"KB", 1024}, {"kB", 1024}, {"MB", 1024 * 1024}}) {
    if (!value.ends_with(name)) continue;
    value.remove_suffix(name.size());
    unit = bytes;
    break;
  }
  const auto number = parse_number(value);
  return number && *number <= limits::kConsoleBytesMax / unit;
}

bool is_weight(std::string_view value) noexcept {
  return value != "0" && is_at_most<limits::kWeightMax>(value);
}

// For all disks: "50" or "default 50".
bool is_io_weight(std::string_view value) noexcept {
  constexpr std::string_view kAllDisks = "default ";
  if (value.starts_with(kAllDisks)) value.remove_prefix(kAllDisks.size());
  return is_weight(value);
}

struct ResourceLimit {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

// "100" or "100:200". The largest number means "unlimited" to the kernel.
std::optional<ResourceLimit> parse_resource_limit(std::string_view value) noexcept {
  const auto colon = value.find(':');
  const auto soft = parse_number(value.substr(0, colon));
  const auto hard = colon == std::string_view::npos ? soft : parse_number(value.substr(colon + 1));
  if (!soft || !hard || *soft > *hard || *hard == std::numeric_limits<std::uint64_t>::max()) return std::nullopt;
  return ResourceLimit{*soft, *hard};
}

bool is_resource_limit(std::string_view value) noexcept {
  return parse_resource_limit(value).has_value();
}

// --- keys -----------------------------------------------------------------------------------------------------

struct Rule {
  std::string_view key;
  bool (*holds)(std::string_view value) noexcept;
  std::string_view values;  // for people
};

// Each takes something away from the container, or is its own business.
constexpr std::array kRules = {
    Rule{"lxc.cap.drop", is_any, ""},
    Rule{"lxc.no_new_privs", is_one, "1"},
    Rule{"lxc.environment", is_assignment, "NAME=VALUE"},
    Rule{"lxc.signal.halt", is_any, ""},
    Rule{"lxc.signal.reboot", is_any, ""},
    Rule{"lxc.signal.stop", is_any, ""},
    Rule{"lxc.uts.name", is_any, ""},
    Rule{"lxc.init.cwd", is_any, ""},
    Rule{"lxc.init.uid", is_any, ""},
    Rule{"lxc.init.gid", is_any, ""},
    Rule{"lxc.tty.max", is_at_most<limits::kTtysMax>, "a number up to 8"},
    Rule{"lxc.pty.max", is_at_most<limits::kPtysMax>, "a number up to 64"},
    Rule{"lxc.console.size", is_console_size, "auto, or up to 128KB"},
    Rule{"lxc.console.buffer.size", is_console_size, "auto, or up to 128KB"},
    Rule{"lxc.net.0.type", is_empty_network, "empty"},
};

// A cgroup begins without bounds and with the weight that all others have: a bound only takes away, a weight does up to
// that one.
constexpr std::array kCgroupRules = {
    Rule{"memory.limit_in_bytes", is_any, ""},
    Rule{"memory.soft_limit_in_bytes", is_any, ""},
    Rule{"memory.max", is_any, ""},
    Rule{"memory.high", is_any, ""},
    Rule{"memory.swap.max", is_any, ""},
    Rule{"cpu.shares", is_at_most<limits::kCpuSharesMax>, "a number up to 1024"},
    Rule{"cpu.cfs_quota_us", is_any, ""},
    Rule{"cpu.cfs_period_us", is_any, ""},
    Rule{"cpu.max", is_any, ""},
    Rule{"cpu.weight", is_weight, "a number from 1 to 100"},
    Rule{"pids.max", is_any, ""},
    Rule{"io.weight", is_io_weight, "a number from 1 to 100 for all disks"},
    Rule{"blkio.weight", is_weight, "a number from 1 to 100"},
};

constexpr std::string_view kResourcePrefix = "lxc.prlimit.";
constexpr Rule kResourceRule = {kResourcePrefix, is_resource_limit, "SOFT:HARD or one number, and no 'unlimited'"};

// nullptr: the key is not one that a release may set by itself.
const Rule* find_rule(std::string_view key) noexcept {
  const auto find = [](const auto& rules, std::string_view name) -> const Rule* {
    const auto found = std::ranges::find(rules, name, &Rule::key);
    return found == rules.end() ? nullptr : &*found;
  };
  if (key.starts_with(kResourcePrefix)) {
    const auto resource = key.substr(kResourcePrefix.size());
    return std::ranges::find(kResources, resource) == kResources.end() ? nullptr : &kResourceRule;
  }
  for (const std::string_view prefix : {"lxc.cgroup.", "lxc.cgroup2."})
    if (key.starts_with(prefix)) return find(kCgroupRules, key.substr(prefix.size()));
  return find(kRules, key);
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
  const Rule* const rule = find_rule(key);
  return rule != nullptr && rule->holds(value);
}

bool is_allowed_key(std::string_view key, std::span<const std::string> keys_allowed) noexcept {
  return std::ranges::any_of(keys_allowed, [&](const std::string& pattern) { return allows(pattern, key); });
}

Status check_settings(const wire::Container& container, std::span<const std::string> keys_allowed) {
  for (const auto& setting : container.settings) {
    if (!is_key(setting.key) || !is_one_line(setting.value)) {
      return fail(Code::refused, "container '" + container.name + "': '" + setting.key.substr(0, 80) +
                                     "' is not an LXC key with a one-line value; correct it in the release");
    }
    if (is_safe_setting(setting.key, setting.value) || is_allowed_key(setting.key, keys_allowed)) continue;
    const Rule* const rule = find_rule(setting.key);
    const std::string why = rule == nullptr
                                ? "which is not on the safe list; "
                                : "but a release may only set it to " + std::string(rule->values) + " by itself; ";
    return fail(Code::refused, "container '" + container.name + "' asks for " + setting.key + " = " +
                                   setting.value.substr(0, 80) + ", " + why +
                                   "allow it in this device's configuration (lxc_keys_allowed) or leave it out");
  }
  return {};
}

std::string lowered_value(const wire::Setting& setting, std::span<const std::string> keys_allowed,
                          const HardLimits& own) {
  const std::string_view key = setting.key;
  if (!key.starts_with(kResourcePrefix) || is_allowed_key(key, keys_allowed)) return setting.value;
  const auto limit = parse_resource_limit(setting.value);
  if (!limit) return setting.value;  // check_settings() has refused it
  const auto known = own.find(key.substr(kResourcePrefix.size()));
  const std::uint64_t most = known == own.end() ? 0 : known->second;
  return std::to_string(std::min(limit->soft, most)) + ":" + std::to_string(std::min(limit->hard, most));
}

}  // namespace instar::revision

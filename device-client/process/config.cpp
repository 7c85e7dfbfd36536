#include "device-client/process/config.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <set>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/base/server_uri.hpp"
#include "core/base/text.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

// The keepalive of a metered link, unless the file sets another: an idle device then causes about 400 KB of traffic a
// month (bench/device/idle.py).
constexpr std::uint32_t kMeteredKeepaliveS = 1'200;

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> items;
  while (!text.empty()) {
    const auto end = text.find_first_of(", \t");
    if (end != 0) items.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return items;
}

Result<bool> parse_bool(std::string_view text) {
  if (text == "yes" || text == "true" || text == "on" || text == "1") return true;
  if (text == "no" || text == "false" || text == "off" || text == "0") return false;
  return fail(Code::invalid_argument, "must be yes or no");
}

Result<std::uint32_t> parse_number(std::string_view text, std::uint32_t low, std::uint32_t high) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high)
    return fail(Code::invalid_argument, "must be a number from " + std::to_string(low) + " to " + std::to_string(high));
  return value;
}

// Paths become parts of overlay mount options and LXC configurations, where these characters have a meaning.
Result<std::string> parse_path(std::string_view text) {
  if (!text.starts_with('/') || text.find_first_of(":,\\ \t\"'#") != std::string_view::npos)
    return fail(Code::invalid_argument,
                "must be an absolute path without spaces, quotes, commas, colons, # or backslashes");
  while (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  if ((std::string(text) + "/").find("/../") != std::string::npos)
    return fail(Code::invalid_argument, "must not contain ..");
  return std::string(text);
}

Status parse_network(std::string_view text, Config& config) {
  constexpr std::string_view kBridge = "bridge:";
  if (text == "loopback") {
    config.network = Network::loopback;
  } else if (text == "host") {
    config.network = Network::host;
  } else if (text.starts_with(kBridge) && is_name(text.substr(kBridge.size())) && text.size() - kBridge.size() <= 15) {
    config.network = Network::bridge;
    config.bridge = text.substr(kBridge.size());
  } else {
    return fail(Code::invalid_argument, "must be loopback, host, or bridge:NAME with the name of a bridge interface");
  }
  return {};
}

Status parse_server(std::string_view text, Config& config) {
  INSTAR_TRY(const auto server, parse_server_uri(text));
  config.server = server.str();
  config.server_has_port = text.ends_with(":" + std::to_string(server.port));
  return {};
}

// What the file sends over an unencrypted connection, as a mistake in it. Empty: nothing that it must not.
std::string plain_mistake(const Config& config) {
  if (config.server.empty() || config.allow_plain_password) return {};
  const auto server = parse_server_uri(config.server);
  INSTAR_ASSERT(server.has_value());
  const auto checked = check_plain(*server, {.password = !config.password_file.empty(),
                                             .tls_files = !config.ca_file.empty() || !config.certificate_file.empty()});
  if (checked) return {};
  return checked.error().message +
         ": write server = ssl://HOST:8883, or allow_plain_password = yes if nobody can listen on the way";
}

Status parse_groups(std::string_view text, Config& config) {
  for (const auto item : split_list(text)) {
    INSTAR_TRY(auto group, GroupPath::parse(item));
    if (std::ranges::find(config.groups, group) == config.groups.end()) config.groups.push_back(std::move(group));
  }
  if (config.groups.empty() || config.groups.size() > limits::kGroupsMax)
    return fail(Code::invalid_argument, "must name 1 to " + std::to_string(limits::kGroupsMax) +
                                            " groups, such as plant-7/line-a, separated by commas");
  return {};
}

Status parse_lxc_keys(std::string_view text, Config& config) {
  for (const auto item : split_list(text)) {
    if (!item.starts_with("lxc."))
      return fail(Code::invalid_argument,
                  "must list LXC keys such as lxc.mount.entry or lxc.net.*, separated by commas");
    config.lxc_keys_allowed.emplace_back(item);
  }
  return {};
}

using Setter = std::function<Status(std::string_view, Config&)>;

Setter number(std::uint32_t Config::*field, std::uint32_t low, std::uint32_t high) {
  return [=](std::string_view text, Config& config) -> Status {
    INSTAR_TRY(config.*field, parse_number(text, low, high));
    return {};
  };
}
Setter flag(bool Config::*field) {
  return [=](std::string_view text, Config& config) -> Status {
    INSTAR_TRY(config.*field, parse_bool(text));
    return {};
  };
}
Setter path(std::string Config::*field) {
  return [=](std::string_view text, Config& config) -> Status {
    INSTAR_TRY(config.*field, parse_path(text));
    return {};
  };
}
Setter text_value(std::string Config::*field) {
  return [=](std::string_view text, Config& config) -> Status {
    config.*field = text;
    return {};
  };
}

Status set_device_id(std::string_view text, Config& config) {
  INSTAR_TRY(config.device_id, DeviceId::parse(text));
  return {};
}
Status set_product(std::string_view text, Config& config) {
  if (!is_product(text)) return fail(Code::invalid_argument, std::string(kProductRule));
  config.product = text;
  return {};
}
Status set_prefix(std::string_view text, Config& config) {
  INSTAR_TRY(config.topics, wire::Topics::with_prefix(text));
  return {};
}
Status set_clock(std::string_view text, Config& config) {
  constexpr std::pair<std::string_view, ClockSetting> kSettings[] = {{"auto", ClockSetting::automatic},
                                                                     {"trusted", ClockSetting::trusted},
                                                                     {"free", ClockSetting::free},
                                                                     {"none", ClockSetting::none}};
  for (const auto& [name, setting] : kSettings) {
    if (text != name) continue;
    config.clock = setting;
    return {};
  }
  return fail(Code::invalid_argument, "must be auto, trusted, free or none");
}
// The file has syslog's numbers.
Status set_log_level(std::string_view text, Config& config) {
  INSTAR_TRY(const auto number, parse_number(text, static_cast<std::uint32_t>(LogLevel::error),
                                             static_cast<std::uint32_t>(LogLevel::debug)));
  config.log_level = static_cast<LogLevel>(number);
  return {};
}

// Every key of the file, listed in the order of docs/device.md.
const std::map<std::string_view, Setter>& setters() {
  static const std::map<std::string_view, Setter> all = {
      {"device_id", set_device_id},
      {"product", set_product},
      {"groups", parse_groups},
      {"server", parse_server},
      {"username", text_value(&Config::username)},
      {"password_file", path(&Config::password_file)},
      {"allow_plain_password", flag(&Config::allow_plain_password)},
      {"enrolment_token_file", path(&Config::enrolment_token_file)},
      {"ca_file", path(&Config::ca_file)},
      {"certificate_file", path(&Config::certificate_file)},
      {"key_file", path(&Config::key_file)},
      {"prefix", set_prefix},
      {"watchdog", path(&Config::watchdog)},
      {"watchdog_s", number(&Config::watchdog_s, 5, 3'600)},
      {"keepalive_s", number(&Config::keepalive_s, 5, 65'535)},
      {"reconnect_s_max", number(&Config::reconnect_s_max, 1, 3'600)},
      {"metered", flag(&Config::metered)},
      {"window_bytes_max", number(&Config::window_bytes_max, limits::kPieceBytesMin, limits::kWindowBytesMax)},
      {"piece_bytes_max", number(&Config::piece_bytes_max, limits::kPieceBytesMin, limits::kPieceBytesMax)},
      {"root_file", path(&Config::root_file)},
      {"state_dir", path(&Config::state_dir)},
      {"lxc_keys_allowed", parse_lxc_keys},
      {"devices_allowed", flag(&Config::devices_allowed)},
      {"container_network", parse_network},
      {"stop_timeout_s", number(&Config::stop_timeout_s, 0, 600)},
      {"broker_grace_s", number(&Config::broker_grace_s, 0, 86'400)},
      {"clock", set_clock},
      {"silence_days", number(&Config::silence_days, 0, limits::kSilenceDaysMax)},
      {"lxc_helper", path(&Config::lxc_helper)},
      {"handlers_dir", path(&Config::handlers_dir)},
      {"self_update", flag(&Config::self_update)},
      {"previous_makes_room", flag(&Config::previous_makes_room)},
      {"layer_mib_max", number(&Config::layer_mib_max, 0, limits::kLayerMibMax)},
      {"layer_files_max", number(&Config::layer_files_max, 0, limits::kLayerFilesMax)},
      {"clear_full_layer", flag(&Config::clear_full_layer)},
      {"reboot_command", text_value(&Config::reboot_command)},
      {"log_level", set_log_level},
  };
  return all;
}

std::string known_keys() {
  std::string names;
  for (const auto& [name, setter] : setters()) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name) {}

  void line(std::string_view text) {
    ++number_;
    text = trim(text);
    if (text.empty() || text[0] == '#' || text[0] == ';') return;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos)
      return mistake("expected \"key = value\", found \"" + std::string(text) + "\"");
    const auto key = trim(text.substr(0, equals));
    const auto value = trim(text.substr(equals + 1));
    const auto setter = setters().find(key);
    if (setter == setters().end())
      return mistake("unknown key \"" + std::string(key) + "\"; the keys are " + known_keys());
    if (!seen_.insert(std::string(key)).second) return mistake(std::string(key) + " is given a second time");
    if (value.empty()) return mistake(std::string(key) + " has no value; leave the line out for the default");
    if (const auto status = setter->second(value, config_); !status)
      mistake(std::string(key) + " = " + std::string(value) + ": " + status.error().message);
  }

  Result<Config> finish() {
    for (const char* needed : {"device_id", "product", "groups", "server"})
      if (!seen_.contains(needed)) mistakes_ += std::string(name_) + ": " + needed + " is missing\n";
    if (!config_.certificate_file.empty() != !config_.key_file.empty())
      mistakes_ += std::string(name_) + ": certificate_file and key_file go together\n";
    if (!config_.password_file.empty() && config_.username.empty())
      mistakes_ += std::string(name_) + ": password_file needs username\n";
    if (const auto plain = plain_mistake(config_); !plain.empty())
      mistakes_ += std::string(name_) + ": " + plain + "\n";
    if (config_.window_bytes_max < config_.piece_bytes_max)
      mistakes_ += std::string(name_) + ": window_bytes_max must not be smaller than piece_bytes_max\n";
    if (config_.metered && !seen_.contains("keepalive_s")) config_.keepalive_s = kMeteredKeepaliveS;
    if (!mistakes_.empty()) {
      mistakes_.pop_back();
      return fail(Code::invalid_argument, mistakes_);
    }
    return config_;
  }

 private:
  void mistake(const std::string& what) {
    mistakes_ += std::string(name_) + ":" + std::to_string(number_) + ": " + what + "\n";
  }

  std::string_view name_;
  std::size_t number_ = 0;
  std::set<std::string> seen_;
  std::string mistakes_;
  Config config_;
};

}  // namespace

Result<Config> parse_config(std::string_view text, std::string_view name) {
  Reader reader(name);
  while (!text.empty()) {
    const auto end = text.find('\n');
    reader.line(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return reader.finish();
}

Result<Config> load_config(const std::string& path) {
  INSTAR_TRY(const auto bytes, files::read_file(path, limits::kConfigBytesMax));
  return parse_config(as_text(bytes), path);
}

}  // namespace instar::device

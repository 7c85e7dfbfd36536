#include "broker-plugin/mosquitto/options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "core/base/limits.hpp"
#include "core/wire/topics.hpp"

namespace instar::broker {
namespace {

[[nodiscard]] tl::unexpected<Error> bad(const OptionLine& line, std::string_view allowed) {
  return fail(Code::invalid_argument, "plugin_opt_" + std::string(line.name) + " is \"" + std::string(line.value) +
                                          "\"; allowed: " + std::string(allowed));
}

[[nodiscard]] Status set_path(std::string& out, const OptionLine& line) {
  if (line.value.empty() || line.value.front() != '/') return bad(line, "an absolute path");
  out = line.value;
  return {};
}

[[nodiscard]] Status set_names(std::vector<std::string>& out, const OptionLine& line) {
  std::string_view rest = line.value;
  while (true) {
    const auto comma = rest.find(',');
    std::string_view name = rest.substr(0, comma);
    while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    if (name.empty()) return bad(line, "names separated by commas, none of them empty");
    out.emplace_back(name);
    if (comma == std::string_view::npos) return {};
    rest.remove_prefix(comma + 1);
  }
}

[[nodiscard]] Status set_prefix(PluginOptions& out, const OptionLine& line) {
  const auto topics = wire::Topics::with_prefix(line.value);
  if (!topics.has_value() || line.value.size() < limits::kPrefixBytesMin) {
    return bad(line, "topic levels of A-Z a-z 0-9 _ - joined by /, at least 4 characters, such as instar/v1");
  }
  out.prefix = topics->prefix();
  return {};
}

[[nodiscard]] Status set_number(std::uint32_t& out, const OptionLine& line, std::uint32_t least, std::uint32_t most,
                                const char* what) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(line.value.data(), line.value.data() + line.value.size(), value);
  if (error != std::errc{} || end != line.value.data() + line.value.size() || value < least || value > most) {
    return bad(line, std::string(what) + " from " + std::to_string(least) + " to " + std::to_string(most));
  }
  out = value;
  return {};
}

[[nodiscard]] Status set_bytes(std::uint64_t& out, const OptionLine& line) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(line.value.data(), line.value.data() + line.value.size(), value);
  if (error != std::errc{} || end != line.value.data() + line.value.size())
    return bad(line, "a number of bytes from 0 on");
  out = value;
  return {};
}

[[nodiscard]] Status set_window(PluginOptions& out, const OptionLine& line) {
  return set_number(out.window_bytes, line, limits::kPieceBytesMin, limits::kWindowBytesMax, "a number of bytes");
}

[[nodiscard]] Status set_threads(PluginOptions& out, const OptionLine& line) {
  return set_number(out.verify_threads, line, 1, limits::kVerifyThreadsMax, "a number of threads");
}

[[nodiscard]] Status set_unknown_devices(PluginOptions& out, const OptionLine& line) {
  return set_number(out.unknown_devices_max_per_login, line, 1, limits::kDevicesMax, "a number of devices");
}

[[nodiscard]] Status set_unknown_days(PluginOptions& out, const OptionLine& line) {
  return set_number(out.unknown_devices_days, line, 1, limits::kUnknownDeviceDaysMax, "a number of days");
}

[[nodiscard]] Status set_report_trust(PluginOptions& out, const OptionLine& line) {
  if (line.value == "signature") {
    out.report_trust = ReportTrust::signature;
  } else if (line.value == "connection") {
    out.report_trust = ReportTrust::connection;
  } else {
    return bad(line,
               "signature (each report is checked with the device's key), connection (the broker's login says who a "
               "client is)");
  }
  return {};
}

[[nodiscard]] Status set_fallthrough(PluginOptions& out, const OptionLine& line) {
  if (line.value == "defer") {
    out.acl_fallthrough = AclFallthrough::defer;
  } else if (line.value == "allow") {
    out.acl_fallthrough = AclFallthrough::allow;
  } else {
    return bad(line, "defer (an acl_file or another plugin decides), allow (the broker has neither)");
  }
  return {};
}

[[nodiscard]] Status set_device_identity(PluginOptions& out, const OptionLine& line) {
  if (line.value == "clientid") {
    out.device_identity = DeviceIdentity::clientid;
  } else if (line.value == "username") {
    out.device_identity = DeviceIdentity::username;
  } else if (line.value == "certificate") {
    out.device_identity = DeviceIdentity::certificate;
  } else {
    return bad(line,
               "clientid (the broker's ACLs say who may use a client id), username (the login's user name is the "
               "device's id too), certificate (a name in the client's certificate is)");
  }
  return {};
}

[[nodiscard]] Status set_enrolment(PluginOptions& out, const OptionLine& line) {
  if (line.value != "open" && line.value != "listed") {
    return bad(line,
               "open (the first key under a name is that device's), listed (only devices that an operator has enrolled "
               "are taken)");
  }
  out.listed = line.value == "listed";
  return {};
}

[[nodiscard]] Status set_clock(PluginOptions& out, const OptionLine& line) {
  if (line.value != "watch" && line.value != "trust") {
    return bad(
        line,
        "watch (no gate is signed while this machine's clock is in doubt), trust (its clock is believed whatever "
        "it says)");
  }
  out.clock.trust = line.value == "trust";
  return {};
}

[[nodiscard]] Status set_clock_days(PluginOptions& out, const OptionLine& line) {
  return set_number(out.clock.ahead_days_max, line, 1, limits::kClockAheadDaysMax, "a number of days");
}

struct Option {
  std::string_view name;
  Status (*set)(PluginOptions& out, const OptionLine& line);
};

constexpr auto kOptions = std::to_array<Option>({
    {"store_dir", [](PluginOptions& out, const OptionLine& line) { return set_path(out.store_dir, line); }},
    {"gate_key", [](PluginOptions& out, const OptionLine& line) { return set_path(out.gate_key, line); }},
    {"root", [](PluginOptions& out, const OptionLine& line) { return set_path(out.root, line); }},
    {"prefix", set_prefix},
    {"acl_fallthrough", set_fallthrough},
    {"operators", [](PluginOptions& out, const OptionLine& line) { return set_names(out.operators, line); }},
    {"bridges", [](PluginOptions& out, const OptionLine& line) { return set_names(out.bridges, line); }},
    {"transfer_log", [](PluginOptions& out, const OptionLine& line) { return set_path(out.transfer_log, line); }},
    {"window_bytes", set_window},
    {"report_trust", set_report_trust},
    {"verify_threads", set_threads},
    {"device_identity", set_device_identity},
    {"clock", set_clock},
    {"clock_ahead_days_max", set_clock_days},
    {"enrolment", set_enrolment},
    {"unknown_devices_max_per_login", set_unknown_devices},
    {"unknown_devices_days", set_unknown_days},
    {"pack_bytes_max", [](PluginOptions& out, const OptionLine& line) { return set_bytes(out.pack_bytes_max, line); }},
    {"disk_free_min", [](PluginOptions& out, const OptionLine& line) { return set_bytes(out.disk_free_min, line); }},
});

[[nodiscard]] std::string known_names() {
  std::string names;
  for (const auto& option : kOptions) names += (names.empty() ? "" : ", ") + std::string(option.name);
  return names;
}

[[nodiscard]] Status require(const std::string& value, std::string_view name, std::string_view what) {
  if (!value.empty()) return {};
  return fail(Code::invalid_argument, "plugin_opt_" + std::string(name) + " is missing: give " + std::string(what));
}

}  // namespace

Result<PluginOptions> parse_options(std::span<const OptionLine> lines) {
  PluginOptions out;
  std::set<std::string_view> seen;
  for (const auto& line : lines) {
    const auto option =
        std::find_if(kOptions.begin(), kOptions.end(), [&](const Option& o) { return o.name == line.name; });
    if (option == kOptions.end()) {
      return fail(Code::invalid_argument, "plugin_opt_" + std::string(line.name) + " \"" + std::string(line.value) +
                                              "\" is not an option of this plugin; its options: " + known_names());
    }
    if (!seen.insert(line.name).second) {
      return fail(Code::invalid_argument, "plugin_opt_" + std::string(line.name) + " is given twice; keep one of them");
    }
    INSTAR_CHECK(option->set(out, line));
  }
  INSTAR_CHECK(require(out.store_dir, "store_dir", "the folder of the plugin's database"));
  INSTAR_CHECK(require(out.gate_key, "gate_key", "the file of the secret key of the role `gate`"));
  INSTAR_CHECK(require(out.root, "root", "the file of the signed root document"));
  return out;
}

}  // namespace instar::broker

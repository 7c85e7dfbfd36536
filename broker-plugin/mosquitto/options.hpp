// The plugin_opt_ lines of mosquitto.conf (docs/broker.md), parsed and checked before anything is opened.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker-plugin/clock_watch.hpp"
#include "broker-plugin/sender.hpp"
#include "core/base/limits.hpp"
#include "core/base/result.hpp"

namespace instar::broker {

// The answer to an ACL check that our own rules do not deny.
enum class AclFallthrough : std::uint8_t {
  defer,  // the deployment's acl_file or ACL plugin decides
  allow,  // yes: for a broker that has neither
};

// What shows that a report over a device's own connection is genuine.
enum class ReportTrust : std::uint8_t {
  signature,   // the device's key
  connection,  // the broker's own login, which says who may use a client id
};

struct PluginOptions {
  std::string store_dir;
  std::string gate_key;
  std::string root;
  std::string prefix = "instar/v1";
  AclFallthrough acl_fallthrough = AclFallthrough::defer;
  std::vector<std::string> operators;  // usernames
  std::vector<std::string> bridges;    // client ids that speak for many devices
  std::string transfer_log;            // empty = none
  std::uint32_t window_bytes = 0;      // 0 = limits.hpp
  ReportTrust report_trust = ReportTrust::signature;
  std::uint32_t verify_threads = 2;
  DeviceIdentity device_identity = DeviceIdentity::clientid;
  ClockRule clock = {};
  bool listed = false;                              // enrolment
  std::uint32_t unknown_devices_max_per_login = 0;  // 0 = limits.hpp
  std::uint32_t unknown_devices_days = 0;           // likewise
  std::uint64_t pack_bytes_max = 0;                 // of all packs; 0 = no bound
  std::uint64_t disk_free_min = limits::kDiskFreeBytesMin;
  friend bool operator==(const PluginOptions&, const PluginOptions&) = default;
};

// One line of mosquitto.conf without its "plugin_opt_".
struct OptionLine {
  std::string_view name;
  std::string_view value;
};

// Errors: invalid_argument; the message names the option, the value given and the values allowed.
[[nodiscard]] Result<PluginOptions> parse_options(std::span<const OptionLine> lines);

}  // namespace instar::broker

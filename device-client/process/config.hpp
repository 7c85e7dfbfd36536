// The device's configuration file: `key = value` lines, `#` comments (docs/device.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/limits.hpp"
#include "core/base/log_level.hpp"
#include "core/base/result.hpp"
#include "core/wire/topics.hpp"

namespace instar::device {

// What a container gets when its release does not ask for another network.
enum class Network : std::uint8_t { loopback, host, bridge };

// What the device's clock is (docs/decisions/0013-whose-clock-counts.md): as the kernel says; kept by something that
// the kernel does not know of; set by nobody; none that runs while the device is off.
enum class ClockSetting : std::uint8_t { automatic, trusted, free, none };

struct Config {
  DeviceId device_id;
  std::string product;
  std::vector<GroupPath> groups;

  std::string server;            // tcp://host:1883 or ssl://host:8883
  bool server_has_port = false;  // in the file; otherwise it is the usual one
  std::string username;
  std::string password_file;
  bool allow_plain_password = false;  // to another machine, without TLS
  std::string enrolment_token_file;   // may be gone once the broker knows the device
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  wire::Topics topics;
  std::uint32_t keepalive_s = 60;
  std::uint32_t reconnect_s_max = 120;
  bool metered = false;
  std::uint32_t window_bytes_max = 256 * 1024;
  std::uint32_t piece_bytes_max = limits::kPieceBytesDefault;

  std::string root_file = "/etc/instar/root.instar";
  std::string state_dir = "/var/lib/instar";

  std::vector<std::string> lxc_keys_allowed;
  bool devices_allowed = false;
  Network network = Network::loopback;
  std::string bridge;
  std::uint32_t stop_timeout_s = 10;
  std::uint32_t broker_grace_s = 180;
  ClockSetting clock = ClockSetting::automatic;
  std::uint32_t silence_days = 7;  // of the broker, before the device says so; 0: never
  std::string lxc_helper;          // empty: beside the daemon, then /usr/libexec/instar/instar-lxc
  // Programs that take payloads which are not containers (docs/handlers.md). They may change the host.
  std::string handlers_dir = "/etc/instar/handlers";
  bool self_update = false;          // a release may bring another client
  bool previous_makes_room = false;  // the revision before may be removed for the next
  // What a container may write into its layer: 0: no bound of its own (docs/device.md, "When the disk is full").
  std::uint32_t layer_mib_max = 0;
  std::uint32_t layer_files_max = 0;
  bool clear_full_layer = false;  // the layer of a container that fills the disk may be cleared
  std::string reboot_command;     // for a shell; empty: payloads that need a boot fail
  std::string watchdog;           // /dev/watchdog; empty: none
  std::uint32_t watchdog_s = 60;
  LogLevel log_level = LogLevel::info;
};

// `name` is the file's name for messages: "device.conf:12: …". Errors: invalid_argument, with every mistake in the
// file, one on each line.
[[nodiscard]] Result<Config> parse_config(std::string_view text, std::string_view name);
[[nodiscard]] Result<Config> load_config(const std::string& path);

}  // namespace instar::device

// The broker service: what the plugin does, without knowing Mosquitto or which store it has. The same code runs inside
// the plugin and in the simulator. One thread (the broker's) calls everything; nothing in here waits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "broker-plugin/broker_port.hpp"
#include "broker-plugin/clock_watch.hpp"
#include "broker-plugin/opener.hpp"
#include "broker-plugin/sender.hpp"
#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/limits.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/delivery.hpp"
#include "core/wire/topics.hpp"
#include "storage/store.hpp"

namespace instar::broker {

enum class Verdict : std::uint8_t {
  route,    // hand on as usual
  consume,  // taken; do not route or retain
  refuse,   // not allowed or not valid; do not route or retain
};

struct ServiceOptions {
  wire::Topics topics;
  trust::SecretKey gate_key;
  Bytes pinned_root;  // envelope of the root document the broker starts with
  std::vector<std::string>
      operators;             // usernames that may use $CONTROL and publish manifests; empty = left to the ACLs
  std::string transfer_log;  // path for one line per chunk sent; empty = none (written by the plugin's shell)
  std::uint32_t window_bytes_max = 0;  // 0 = limits.hpp
  // Reports that come over a device's own connection are believed without a look at their signature: who may use a
  // client id is then the broker's own login's to say. (Over a bridge, signatures always count.)
  bool trust_connections = false;
  DeviceIdentity device_identity = DeviceIdentity::clientid;
  // Only devices that are enrolled may say hello.
  bool listed = false;
  ClockRule clock = {};
  // Devices that have never taken part in a rollout: how many one login may bring, and when a silent one is forgotten.
  std::size_t unknown_devices_max_per_login = limits::kUnknownDevicesPerLoginMax;
  std::uint32_t unknown_devices_days = limits::kUnknownDeviceDays;
  // Bytes of all packs (0: no bound), and bytes that are to be free on the store's disk. Past either an upload first
  // removes packs that nothing needs. `free_bytes`: of that disk, nullopt when nobody can tell; may be empty.
  std::uint64_t pack_bytes_max = 0;
  std::uint64_t disk_free_min = limits::kDiskFreeBytesMin;
  std::function<std::optional<std::uint64_t>()> free_bytes = {};
};

class Service {
 public:
  virtual ~Service() = default;
  // Reads the store and publishes what is retained again: root, manifests, assignments, gates, statuses. Before
  // anything else.
  [[nodiscard]] virtual Status start(Now now) = 0;
  [[nodiscard]] virtual Verdict on_message(const Sender& sender, std::string_view topic, ByteView payload,
                                           wire::Qos qos, wire::Retain retain, Now now) = 0;
  // A $CONTROL payload (docs/formats/control.md); the answer is published on the response topic, now or when durable.
  virtual void on_control(const Sender& sender, std::string_view payload, Now now) = 0;
  virtual void on_disconnect(std::string_view client_id, Now now) = 0;
  // Often (each broker loop pass) and O(1) when there is nothing to do. Runs store.poll().
  virtual void on_tick(Now now) = 0;
  // The broker stops: what was only counted is given to the store. (A crash loses the count of the last
  // 40 s at most, of devices that have reported nothing since.)
  virtual void on_stop() = 0;
  // Something is left for the next on_tick(), which is not to wait for an event.
  [[nodiscard]] virtual bool has_more() const { return false; }
  // ACL of our own prefix: true = allowed or not ours (defer), false = denied.
  [[nodiscard]] virtual bool may_write(const Sender& sender, std::string_view topic) const = 0;
  [[nodiscard]] virtual bool may_read(const Sender& sender, std::string_view topic) const = 0;
  // For tests and simulation, between calls: the state of each part agrees with itself. Linear in what is held.
  virtual void assert_invariants() const {}
};

// One line per chunk sent, for accounting and for tests: device, pack, ordinal, offset, bytes.
using TransferLog = std::function<void(const DeviceId& device, const PackId& pack, std::uint32_t ordinal,
                                       std::uint32_t offset, std::uint32_t bytes)>;

// `opener`: checks signatures; nullptr: within the call.
[[nodiscard]] std::unique_ptr<Service> make_service(ServiceOptions options, storage::Store& store, BrokerPort& broker,
                                                    TransferLog transfer_log, std::unique_ptr<Opener> opener = nullptr);

}  // namespace instar::broker

// A broker process with the real service in it: sessions, retained messages, routing, and a store that survives.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker-plugin/service.hpp"
#include "storage/memory_store.hpp"
#include "tests/sim/adversary_checks.hpp"
#include "tests/sim/canaries.hpp"
#include "tests/sim/checks.hpp"
#include "tests/sim/link.hpp"
#include "tests/sim/recorder.hpp"
#include "tests/sim/releases.hpp"
#include "tests/sim/rollout_checks.hpp"
#include "tests/sim/world.hpp"

namespace instar::sim {

// A client as its broker sees it.
class Client {
 public:
  virtual ~Client() = default;
  [[nodiscard]] virtual const DeviceId& id() const = 0;
  // Its user name.
  [[nodiscard]] virtual std::string_view login() const { return ""; }
  [[nodiscard]] virtual Link& link() = 0;
  // The link is up and the message has come over it.
  virtual void receive(const std::string& topic, const Bytes& payload) = 0;
  // The broker died, or closed the connection.
  virtual void lost() = 0;
};

class SimBroker final : public broker::BrokerPort {
 public:
  // What looks at all that goes in and out.
  struct Checks {
    ReportCheck& reports;
    TransferCheck& transfers;
    AdmissionCheck& admissions;
    WaveCheck& waves;
    TurnCheck& turns;
    ByteCheck& bytes;
    StrangerCheck& strangers;
    HelloCheck& hellos;
  };
  SimBroker(World& world, const Keys& keys, const Canaries& canaries, Checks checks);

  void start();
  // Power off; comes back after `down_ms`.
  void crash(std::int64_t down_ms);
  // At the commit of this number from now on, before or after it is on the disk.
  void crash_at_commit(std::uint64_t from_now) { crash_at_ = store_.commit_count() + from_now; }
  void set_clock_error(std::int64_t ms) { clock_error_ms_ = ms; }
  // A message that is not the broker's reaches all who subscribe its topic and have been connected for so long.
  void inject(const std::string& topic, const Bytes& payload, std::int64_t connected_ms = 0);
  // A message that the device has sent once comes again on its connection. Without one nothing happens.
  void replay(const std::string& device, const std::string& topic, const Bytes& payload);
  [[nodiscard]] Recorder& recorded() noexcept { return recorder_; }
  void assign(const std::string& device, const Bytes& envelope);
  [[nodiscard]] bool is_up() const noexcept { return service_ != nullptr; }
  [[nodiscard]] storage::MemoryStore& store() noexcept { return store_; }
  [[nodiscard]] const std::map<std::string, Bytes>& retained() const noexcept { return retained_; }
  void set_store_faults(storage::MemoryStore::Faults faults) { store_.set_faults(faults); }

  // --- clients ---
  void connected(Client& client);
  void disconnected(Client& client);
  void subscribe(Client& client, const std::vector<std::string>& topics);
  // A message of a client has arrived. False: the connection is gone.
  [[nodiscard]] bool arrive(Client& client, const std::string& topic, const Bytes& payload, wire::Qos qos,
                            wire::Retain retain);
  // QoS 1: the client has it.
  void confirm(Client& client, std::uint64_t number);

  // Uploads the packs and publishes the manifest. False: not now, try again.
  [[nodiscard]] bool release(const Release& release);
  // The release is durable in the store: the operator sees its status.
  [[nodiscard]] bool has(const Release& release) const;
  // pauseRollout, resumeRollout, abortRollout, approveRollout, revertRollout, retryRollout.
  void command(const std::string& verb, const Release& release);
  void forget(const DeviceId& device);

  void publish(const std::string& topic, ByteView payload, wire::Qos qos, wire::Retain retain) override;
  void log(LogLevel level, const std::string& line) override;

 private:
  struct Queued {
    std::uint64_t number = 0;
    std::string topic;
    Bytes payload;
  };
  struct Session {
    Client* client = nullptr;  // while connected,
    MonotonicMs since;         // and since when
    std::set<std::string> subscriptions;
    std::deque<Queued> unconfirmed;  // QoS 1
  };
  [[nodiscard]] Now now() const;
  void after_call();
  void observe(const std::string& topic, ByteView payload);
  void note_hello(const std::string& topic, const Bytes& payload);
  void tick();
  void send(Session& session, const std::string& topic, const Bytes& payload, wire::Qos qos);
  void deliver(Client& client, const Queued& message);
  [[nodiscard]] bool upload(const Release& release);
  [[nodiscard]] std::string signed_yes(const Release& release) const;

  World& world_;
  const Keys& keys_;
  const Canaries& canaries_;
  Checks checks_;
  std::uint64_t crash_at_ = 0;
  std::int64_t clock_error_ms_ = 0;
  storage::MemoryStore store_;
  std::unique_ptr<storage::Store> eager_;  // a canary's store in front of it
  std::unique_ptr<broker::Service> service_;
  std::uint64_t life_ = 0;
  std::map<std::string, Bytes> retained_;
  std::map<std::string, Session> sessions_;
  std::unordered_map<std::string, std::set<std::string>> subscribers_;  // topic → clients
  std::uint64_t number_ = 0;
  Recorder recorder_;
};

}  // namespace instar::sim

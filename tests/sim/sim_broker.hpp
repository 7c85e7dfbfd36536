// A broker process with the real service in it: sessions, retained messages, routing, and a store that survives.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker-plugin/service.hpp"
#include "storage/memory_store.hpp"
#include "tests/sim/checks.hpp"
#include "tests/sim/link.hpp"
#include "tests/sim/releases.hpp"
#include "tests/sim/world.hpp"

namespace instar::sim {

// A client as its broker sees it.
class Client {
 public:
  virtual ~Client() = default;
  [[nodiscard]] virtual const DeviceId& id() const = 0;
  [[nodiscard]] virtual Link& link() = 0;
  // The link is up and the message has come over it.
  virtual void receive(const std::string& topic, const Bytes& payload) = 0;
  // The broker died, or closed the connection.
  virtual void lost() = 0;
};

// Bugs that must be found, by switching them on.
struct Canaries {
  bool ack_before_durable = false;  // the store says "durable" at once
  bool skip_persist = false;        // devices lose some of their state writes
};

class SimBroker final : public broker::BrokerPort {
 public:
  SimBroker(World& world, const Keys& keys, const Canaries& canaries, ReportCheck& reports, TransferCheck& transfers);

  void start();
  // Power off; comes back after `down_ms`.
  void crash(std::int64_t down_ms);
  [[nodiscard]] bool is_up() const noexcept { return service_ != nullptr; }
  [[nodiscard]] storage::MemoryStore& store() noexcept { return store_; }
  [[nodiscard]] const std::map<std::string, Bytes>& retained() const noexcept { return retained_; }
  void set_store_faults(storage::MemoryStore::Faults faults) { store_.set_faults(faults); }

  // --- clients ---
  void connected(Client& client);
  void disconnected(Client& client);
  void subscribe(Client& client, const std::vector<std::string>& topics);
  // A message of a client has arrived. False: the connection is gone.
  [[nodiscard]] bool arrive(Client& client, const std::string& topic, const Bytes& payload, int qos, bool retain);
  // QoS 1: the client has it.
  void confirm(Client& client, std::uint64_t number);

  // Uploads the packs and publishes the manifest. False: not now, try again.
  [[nodiscard]] bool release(const Release& release);
  // pauseRollout, resumeRollout or abortRollout.
  void command(const std::string& verb, const Release& release);

  void publish(const std::string& topic, ByteView payload, int qos, bool retain) override;
  void log(int level, const std::string& line) override;

 private:
  struct Queued {
    std::uint64_t number = 0;
    std::string topic;
    Bytes payload;
  };
  struct Session {
    Client* client = nullptr;  // while connected
    std::set<std::string> subscriptions;
    std::deque<Queued> unconfirmed;  // QoS 1
  };
  [[nodiscard]] Now now() const { return {world_.wall(), world_.now()}; }
  void tick();
  void send(Session& session, const std::string& topic, const Bytes& payload, int qos);
  void deliver(Client& client, const Queued& message);
  [[nodiscard]] bool upload(const Release& release);

  World& world_;
  const Keys& keys_;
  ReportCheck& reports_;
  TransferCheck& transfers_;
  storage::MemoryStore store_;
  std::unique_ptr<storage::Store> eager_;  // a canary's store in front of it
  std::unique_ptr<broker::Service> service_;
  std::uint64_t life_ = 0;
  std::map<std::string, Bytes> retained_;
  std::map<std::string, Session> sessions_;
  std::uint64_t number_ = 0;
};

}  // namespace instar::sim

// A client with a login and a key of its own that is no device of the fleet, and lies: of itself, of rollouts, of
// numbers. It asks for packs as well.
#pragma once

#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/link.hpp"
#include "tests/sim/releases.hpp"
#include "tests/sim/sim_broker.hpp"
#include "tests/sim/world.hpp"

namespace instar::sim {

class Stranger final : public Client {
 public:
  // By its name (names.hpp) it is a foreign one or a late one. A foreign one lies about every release, and asks for
  // its packs; a late one about `aim` alone, and asks for nothing. `releases` must outlive it.
  Stranger(World& world, SimBroker& broker, const std::list<Release>& releases, const std::string& name,
           std::string product, std::vector<GroupPath> groups, const Release* aim);

  void come();
  // For good.
  void leave();
  [[nodiscard]] bool has_left() const noexcept { return has_left_; }

  [[nodiscard]] const DeviceId& id() const override { return id_; }
  [[nodiscard]] std::string_view login() const override { return "stranger"; }
  [[nodiscard]] Link& link() override { return link_; }
  void receive(const std::string& topic, const Bytes& payload) override;
  void lost() override;

 private:
  void connect();
  void lie();
  void say_hello();
  void report(const Release& release);
  void fetch(const Release& release);
  void send(wire::TopicKind kind, Bytes payload, wire::Qos qos);
  [[nodiscard]] const Release* some_release() const;

  World& world_;
  SimBroker& broker_;
  const std::list<Release>& releases_;
  DeviceId id_;
  std::string product_;
  std::vector<GroupPath> groups_;
  const Release* aim_;
  trust::SecretKey key_;
  Link link_;
  std::uint64_t instance_;
  std::uint32_t connect_ = 0;
  std::uint64_t acked_ = 0;
  std::uint32_t attempt_ = 1;
  std::uint32_t session_ = 0;
  bool has_left_ = false;
};

}  // namespace instar::sim

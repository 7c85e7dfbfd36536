// Who lies in a story, and when: strangers with logins of their own, somebody who plays recorded hellos again, somebody
// with the broker's gate key, a disk that was cloned, and clocks. The seed draws which of them are there.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/gate_liar.hpp"
#include "tests/sim/sim_device.hpp"
#include "tests/sim/stranger.hpp"

namespace instar::sim {

class Adversary {
 public:
  using Devices = std::vector<std::unique_ptr<SimDevice>>;
  // One more device with the name and the key of that one.
  using MakeDevice = std::function<std::unique_ptr<SimDevice>(std::size_t index)>;
  // All of these must outlive it.
  Adversary(World& world, SimBroker& broker, const Keys& keys, const Canaries& canaries, AdmissionCheck& admissions,
            StrangerCheck& strangers, const std::list<Release>& releases, const Devices& devices, MakeDevice make);

  void begin();
  // No more lies, but those of strangers from outside, who must not matter. The operator puts clocks right, and forgets
  // the devices that are not his.
  void end();
  // Now and then, and in the end.
  void look();

  // By the clock of the operator's machine.
  [[nodiscard]] ReleaseDates dates();
  // Of the release that all must have taken in the end, by the right clock.
  [[nodiscard]] ReleaseDates last_dates() const;
  void turn_clock(SimDevice& device);
  void turn_broker_clock();
  // Somebody with the gate key lets everyone go.
  void open_all(const Release& release) { gates_.skip_waves(release); }
  // Two devices had these names for a while.
  [[nodiscard]] const std::set<std::string>& cloned() const noexcept { return cloned_; }

 private:
  struct Plan {
    bool foreign = false;
    bool late = false;
    bool hellos = false;
    bool gates = false;
    bool clones = false;
    bool clocks = false;
  };
  [[nodiscard]] static Plan draw_plan(Random& random, const Canaries& canaries);
  [[nodiscard]] std::int64_t draw_error();
  void act();
  void play_hello();
  void come_foreign();
  void come_late();
  void forget_late();
  void clone_one();
  [[nodiscard]] const Release* open_rollout(std::vector<std::uint64_t>& limits) const;

  World& world_;
  SimBroker& broker_;
  const Canaries& canaries_;
  StrangerCheck& check_;
  const std::list<Release>& releases_;
  const Devices& devices_;
  MakeDevice make_;
  Plan plan_;
  GateLiar gates_;
  std::list<Stranger> strangers_;
  std::uint32_t late_count_ = 0;
  Devices clones_;
  std::set<std::string> cloned_;
};

}  // namespace instar::sim

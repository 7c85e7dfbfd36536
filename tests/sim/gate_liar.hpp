// Somebody who holds the broker's gate key, or the broker's machine: opens waves early with gates that do not keep to
// the policy, that say times which never were, that were the broker's own once, or whose approval nobody gave.
#pragma once

#include "tests/sim/canaries.hpp"
#include "tests/sim/releases.hpp"
#include "tests/sim/rollout_checks.hpp"
#include "tests/sim/sim_broker.hpp"
#include "tests/sim/world.hpp"

namespace instar::sim {

class GateLiar {
 public:
  GateLiar(World& world, SimBroker& broker, const Keys& keys, const Canaries& canaries, AdmissionCheck& admissions)
      : world_(world), broker_(broker), keys_(keys), canaries_(canaries), admissions_(admissions) {}

  // Everyone may go, by a gate whose times skip waves. Devices must not obey it.
  void skip_waves(const Release& release);
  // One of the other lies, by chance.
  void lie(const Release& release);

 private:
  // The soaks have all passed, because the first wave opened before the release was made.
  void shift_back(const Release& release);
  // The soaks have all passed, because it is later than everybody thinks. A device whose clock is good for nothing, or
  // ahead by as much, cannot know.
  void shift_ahead(const Release& release);
  // The rollout has been stopped. An open gate of before is sent again, after so many others that a device might have
  // forgotten the newer one: a device that has its manifests (docs/decisions/0013-whose-clock-counts.md, "Price").
  void replay(const Release& release);
  // A wave that needs a signed approval opens with none, with one by a key that may not give it, or with another
  // rollout's.
  void approve_falsely(const Release& release);

  // Everyone may go. Times follow the soaks, from `first` on.
  [[nodiscard]] wire::Gate all_open(const Release& release, WallMs first) const;
  // To all groups of the release, with the number of the broker's newest gate of it.
  void send(const Release& release, wire::Gate gate);
  void send_sealed(const std::string& topic, const wire::Gate& gate, std::int64_t connected_ms = 0);
  [[nodiscard]] bool was_opened(const Release& release) const;
  void flood(const Release& release);

  World& world_;
  SimBroker& broker_;
  const Keys& keys_;
  const Canaries& canaries_;
  AdmissionCheck& admissions_;
};

}  // namespace instar::sim

// What somebody who listens to the broker's connections has kept: hellos of devices, and the broker's gates.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/wire/messages.hpp"

namespace instar::sim {

class Recorder {
 public:
  struct KeptHello {
    std::string topic;
    Bytes payload;
    wire::Hello hello;
  };
  struct KeptGate {
    std::string topic;
    Bytes payload;
    wire::Gate gate;
  };

  void hello(const std::string& topic, const Bytes& payload, wire::Hello hello) {
    auto& kept = hellos_[hello.device.str()];
    if (!kept.empty() && !is_later(hello, kept.back().hello)) return;  // it was played again
    kept.push_back({topic, payload, std::move(hello)});
    // The first ones are the most tempting; the last one tells what is old.
    if (kept.size() > kKept) kept.erase(kept.end() - 2);
  }
  [[nodiscard]] static bool is_later(const wire::Hello& one, const wire::Hello& other) {
    return std::pair(one.boot, one.connect) > std::pair(other.boot, other.connect);
  }
  void gate(const std::string& topic, Bytes payload, wire::Gate gate) {
    auto& kept = gates_[gate.manifest];
    kept.push_back({topic, std::move(payload), std::move(gate)});
    if (kept.size() > kKept) kept.erase(kept.begin());
  }
  // In the order in which they came.
  [[nodiscard]] const std::vector<KeptHello>& hellos(const std::string& device) { return hellos_[device]; }
  [[nodiscard]] const std::vector<KeptGate>& gates(const ManifestId& rollout) { return gates_[rollout]; }

 private:
  static constexpr std::size_t kKept = 12;
  std::map<std::string, std::vector<KeptHello>> hellos_;
  std::map<ManifestId, std::vector<KeptGate>> gates_;
};

}  // namespace instar::sim

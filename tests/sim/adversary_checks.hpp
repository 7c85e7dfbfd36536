// What must hold though somebody lies, each in its own file: check_strangers.cpp, check_hellos.cpp. Worked out from
// what was sent and what is durable in the store; nothing here calls what it checks.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/wire/messages.hpp"
#include "storage/memory_store.hpp"
#include "tests/sim/releases.hpp"
#include "tests/sim/world.hpp"

namespace instar::sim {

// What strangers say moves nothing: no budget is spent, no rollout ends by it, and none of them is served. (That no
// wave opens by it, WaveCheck sees: it counts the fleet alone.)
class StrangerCheck {
 public:
  explicit StrangerCheck(World& world) : world_(world) {}
  void published(const Release& release) { releases_[release.rollout] = &release; }
  // A device of the fleet has made it.
  void report(const wire::Report& report);
  // Content has left the broker.
  void served(const std::string& device, std::uint32_t bytes);
  // Leaves the broker now.
  void gate(const wire::Gate& gate, const storage::MemoryStore& store);
  // Now and then, right after a crash, and in the end.
  void look(storage::Store& store);

 private:
  void check_budget(const Release& release, const std::string& cause);
  World& world_;
  std::map<ManifestId, const Release*> releases_;
  std::map<ManifestId, std::set<std::string>> failed_;  // of the fleet, whoever has ever said so
  std::map<ManifestId, std::set<std::string>> ended_;   // and said that it was done, however
  std::map<ManifestId, std::uint64_t> issues_;          // of the last gate
  std::set<ManifestId> stopped_;                        // since its last open gate
};

// The broker's record of a device never goes back to an older hello, and says what its last hello said. When a start of
// its client speaks again after another one has spoken, two devices have its name, and the record says so.
class HelloCheck {
 public:
  explicit HelloCheck(World& world) : world_(world) {}
  // The device says it, or somebody says it again.
  void said(const wire::Hello& hello);
  // Something about the device has just become durable.
  void look(const std::string& device, const storage::MemoryStore& store);
  // After a crash: all devices.
  void broker_crashed(const storage::MemoryStore& store);

 private:
  using Number = std::pair<std::uint32_t, std::uint32_t>;  // boot, connect
  struct Known {
    Number number;
    bool is_cloned = false;
    std::deque<std::uint64_t> instances;  // the last different ones, newest first
  };
  World& world_;
  std::map<std::pair<std::string, Number>, std::set<std::vector<GroupPath>>> said_;
  std::map<std::string, Known> known_;
};

}  // namespace instar::sim

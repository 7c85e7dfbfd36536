// The scenario of one seed: releases are published while links, brokers and devices break. Then everything is healed,
// and all must end well.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/sim_broker.hpp"

namespace instar::sim {

struct ScenarioOptions {
  std::uint64_t seed = 1;
  std::uint32_t devices = 0;  // 0: by the seed
  Canaries canaries;
  bool verbose = false;
};

struct ScenarioResult {
  std::vector<std::string> findings;
  std::uint64_t events = 0;
  std::uint32_t devices = 0;
  std::uint32_t commits = 0;  // over all devices and releases
  std::uint32_t rollbacks = 0;
  std::uint32_t waves = 0;  // opened
  std::uint32_t turns = 0;  // given
  std::string effects;      // hash of all of them, with what the store held at the end
};

[[nodiscard]] ScenarioResult run_scenario(const ScenarioOptions& options);

}  // namespace instar::sim

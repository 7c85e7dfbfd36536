// A device that runs r1, and a broker that speaks to it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "core/revision/testing/machine_fixture.hpp"

namespace instar::revision {

class RunsR1Fixture : public testing::Test {
 protected:
  void SetUp() override;
  void gate(const wire::Manifest& manifest, std::uint64_t issue, wire::GateState state);
  // The manifest alone: no gate lets anybody take it yet.
  void offer(const wire::Manifest& manifest);
  void turn(const wire::Manifest& manifest, std::uint32_t attempt);
  [[nodiscard]] std::string last_reason() const;

  WallMs opened{1'700'000'000'000};
  MachineFixture fixture;
};

}  // namespace instar::revision

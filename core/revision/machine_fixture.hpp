// For tests: a device that runs r1, and what a broker says to it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/revision/machine_rig.hpp"

namespace instar::revision::rig {

class RunsR1 : public testing::Test {
 protected:
  void SetUp() override {
    rig.boot();
    rig.connect();
    rig.publish(rig.release(1));
    rig.run(15'000);
    ASSERT_EQ(rig.running_release(), "r1");
    rig.applied.clear();
  }
  void gate(const wire::Manifest& manifest, std::uint64_t issue, wire::GateState state) {
    auto message = rig.gate_for(manifest, issue);
    message.wave_opened = {opened};
    message.state = state;
    rig.put_gate(message);
  }
  // The manifest alone: no gate lets anybody take it yet.
  void offer(const wire::Manifest& manifest) {
    rig.store_packs(manifest);
    rig.put(rig.topics.manifest(manifest.groups.front()), rig.seal(manifest));
  }
  void turn(const wire::Manifest& manifest, std::uint32_t attempt) {
    wire::Ack ack;
    ack.sequence = rig.view().last_report;
    ack.start_rollout = Rig::rollout_of(manifest).prefix64();
    ack.start_attempt = attempt;
    rig.hear(rig.topics.device(rig.facts.device, wire::TopicKind::device_ack), wire::encode(ack));
  }
  [[nodiscard]] std::string last_reason() const { return rig.applied.empty() ? "" : rig.applied.back().reason; }

  WallMs opened{1'700'000'000'000};
  Rig rig;
};

}  // namespace instar::revision::rig

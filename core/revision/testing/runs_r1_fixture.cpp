#include "core/revision/testing/runs_r1_fixture.hpp"

namespace instar::revision {

void RunsR1Fixture::SetUp() {
  rig.boot();
  rig.connect();
  rig.publish(rig.release(1));
  rig.run(15'000);
  ASSERT_EQ(rig.running_release(), "r1");
  rig.applied.clear();
}

void RunsR1Fixture::gate(const wire::Manifest& manifest, std::uint64_t issue, wire::GateState state) {
  auto message = rig.gate_for(manifest, issue);
  message.wave_opened = {opened};
  message.state = state;
  rig.put_gate(message);
}

void RunsR1Fixture::offer(const wire::Manifest& manifest) {
  rig.store_packs(manifest);
  rig.put(rig.topics.manifest(manifest.groups.front()), rig.seal(manifest));
}

void RunsR1Fixture::turn(const wire::Manifest& manifest, std::uint32_t attempt) {
  wire::Ack ack;
  ack.sequence = rig.view().last_report;
  ack.start_rollout = MachineFixture::rollout_of(manifest).prefix64();
  ack.start_attempt = attempt;
  rig.receive(rig.topics.device(rig.facts.device, wire::TopicKind::device_ack), wire::encode(ack));
}

std::string RunsR1Fixture::last_reason() const {
  return rig.applied.empty() ? "" : rig.applied.back().reason;
}

}  // namespace instar::revision

#include "core/revision/testing/runs_r1_fixture.hpp"

namespace instar::revision {

void RunsR1Fixture::SetUp() {
  fixture.boot();
  fixture.connect();
  fixture.publish(fixture.release(1));
  fixture.run(15'000);
  ASSERT_EQ(fixture.running_release(), "r1");
  fixture.applied.clear();
}

void RunsR1Fixture::gate(const wire::Manifest& manifest, std::uint64_t issue, wire::GateState state) {
  auto message = fixture.gate_for(manifest, issue);
  message.wave_opened = {opened};
  message.state = state;
  fixture.put_gate(message);
}

void RunsR1Fixture::offer(const wire::Manifest& manifest) {
  fixture.store_packs(manifest);
  fixture.put(fixture.topics.manifest(manifest.groups.front(), manifest.product), fixture.seal(manifest));
}

void RunsR1Fixture::turn(const wire::Manifest& manifest, std::uint32_t attempt) {
  wire::Ack ack;
  ack.sequence = fixture.view().last_report;
  ack.start_rollout = MachineFixture::rollout_of(manifest).prefix64();
  ack.start_attempt = attempt;
  fixture.receive(fixture.topics.device(fixture.facts.device, wire::TopicKind::device_ack), wire::encode(ack));
}

std::string RunsR1Fixture::last_reason() const {
  return fixture.applied.empty() ? "" : fixture.applied.back().reason;
}

}  // namespace instar::revision

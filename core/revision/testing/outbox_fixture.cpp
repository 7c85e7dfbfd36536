#include "core/revision/testing/outbox_fixture.hpp"

#include "core/revision/testing/machine_fixture.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {

OutboxFixture::OutboxFixture(RevisionsState state, std::optional<RevisionRecord> factory, Bytes factory_manifest)
    : device_(*DeviceId::parse("pump-17")),
      key_(key_of(4)),
      revisions(std::move(state), std::move(factory), std::move(factory_manifest)),
      out({}, device_, key_, topics_, revisions) {
  out.begin({WallMs{1'700'000'000'000}, MonotonicMs{1'000}});
  out.connected();
  out.start_reports();
}

wire::Manifest OutboxFixture::release(std::uint64_t sequence) {
  return MachineFixture().release(sequence);
}

ManifestId OutboxFixture::hash_of(const wire::Manifest& manifest) {
  return MachineFixture::rollout_of(manifest);
}

Bytes OutboxFixture::envelope_of(const wire::Manifest& manifest) {
  return trust::seal(trust::Kind::manifest, wire::encode_manifest(manifest), key_of(2));
}

RevisionRecord OutboxFixture::record_of(std::uint32_t number, const wire::Manifest& manifest) {
  RevisionRecord record{number, {manifest.product, manifest.release, manifest.sequence, hash_of(manifest), {}}};
  for (const auto& artifact : manifest.artifacts) record.info.artifacts.push_back(artifact.id);
  return record;
}

RevisionsState OutboxFixture::running(std::uint32_t number, const wire::Manifest& manifest) {
  RevisionsState state;
  state.current = record_of(number, manifest);
  state.current_manifest = envelope_of(manifest);
  state.numbers = {number};
  state.next_number = number + 1;
  return state;
}

void OutboxFixture::pass(std::int64_t ms) {
  const auto now = out.now();
  out.begin({now.wall + ms, now.monotonic + ms});
}

Effects OutboxFixture::take() {
  persisted = out.must_persist();
  Effects effects;
  out.flush(effects);
  out.assert_invariants();
  return effects;
}

std::vector<wire::Report> OutboxFixture::reports(const Effects& effects) {
  std::vector<wire::Report> reports;
  for (const auto& publish : all<Publish>(effects)) {
    const auto topic = wire::Topics().parse(publish.topic);
    if (!topic || topic->kind != wire::TopicKind::device_report) continue;
    const auto envelope = trust::parse_envelope(publish.payload);
    reports.push_back(*wire::decode_report(envelope->payload));
  }
  return reports;
}

std::vector<std::string> OutboxFixture::log(const Effects& effects) {
  std::vector<std::string> lines;
  for (const auto& line : all<Log>(effects)) lines.push_back(line.message);
  return lines;
}

}  // namespace instar::revision

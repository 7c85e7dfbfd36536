#include "core/revision/state_codec.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "schemas/device_state_generated.h"

namespace instar::revision {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kChecksumBytes = 32;

fb::Hash256 to_fb(const Hash256& hash) {
  return fb::Hash256(flatbuffers::span<const std::uint8_t, 32>(hash.bytes));
}

Hash256 from_fb(const fb::Hash256* hash) {
  Hash256 out;
  if (hash != nullptr) std::copy_n(hash->bytes()->Data(), out.bytes.size(), out.bytes.begin());
  return out;
}

Bytes from_fb(const flatbuffers::Vector<std::uint8_t>* bytes) {
  return bytes == nullptr ? Bytes{} : Bytes{bytes->begin(), bytes->end()};
}

std::string from_fb(const flatbuffers::String* text) {
  return text == nullptr ? std::string{} : text->str();
}

template <typename Id>
flatbuffers::Offset<flatbuffers::Vector<const fb::Hash256*>> pack_hashes(flatbuffers::FlatBufferBuilder& builder,
                                                                         const std::vector<Id>& hashes) {
  std::vector<fb::Hash256> structs;
  std::ranges::transform(hashes, std::back_inserter(structs), [](const Hash256& hash) { return to_fb(hash); });
  return builder.CreateVectorOfStructs(structs);
}

template <typename Id>
std::vector<Id> unpack_hashes(const flatbuffers::Vector<const fb::Hash256*>* hashes) {
  std::vector<Id> out;
  if (hashes == nullptr) return out;
  for (const auto* hash : *hashes) out.emplace_back(from_fb(hash));
  return out;
}

flatbuffers::Offset<fb::RevisionRecord> pack_record(flatbuffers::FlatBufferBuilder& builder,
                                                    const std::optional<RevisionRecord>& record) {
  if (!record) return 0;
  const auto hash = to_fb(record->info.manifest);
  const auto product = builder.CreateString(record->info.product);
  const auto release = builder.CreateString(record->info.release);
  const auto ids = pack_hashes(builder, record->info.artifacts);
  const auto info = fb::CreateRevisionInfo(builder, product, release, record->info.sequence, &hash, ids);
  return fb::CreateRevisionRecord(builder, record->number, info);
}

std::optional<RevisionRecord> unpack_record(const fb::RevisionRecord* record) {
  if (record == nullptr) return std::nullopt;
  const auto* info = record->info();
  return RevisionRecord{record->number(),
                        {from_fb(info->product()), from_fb(info->release()), info->sequence(),
                         ManifestId(from_fb(info->manifest())), unpack_hashes<ArtifactId>(info->artifacts())}};
}

flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> pack_bytes(flatbuffers::FlatBufferBuilder& builder,
                                                                  const Bytes& bytes) {
  if (bytes.empty()) return 0;
  return builder.CreateVector(bytes);
}

auto pack_outcomes(flatbuffers::FlatBufferBuilder& builder, const std::vector<Outcome>& outcomes) {
  std::vector<flatbuffers::Offset<fb::Outcome>> out;
  for (const auto& outcome : outcomes) {
    const auto hash = to_fb(outcome.manifest);
    const auto reason = outcome.reason.empty() ? 0 : builder.CreateString(outcome.reason);
    out.push_back(fb::CreateOutcome(builder, &hash, outcome.sequence, outcome.attempt, outcome.retry_epoch,
                                    static_cast<fb::Step>(outcome.step), static_cast<std::uint16_t>(outcome.code),
                                    reason));
  }
  return builder.CreateVector(out);
}

auto pack_gates(flatbuffers::FlatBufferBuilder& builder, const std::vector<GateMark>& gates) {
  std::vector<flatbuffers::Offset<fb::GateMark>> out;
  for (const auto& gate : gates) {
    const auto hash = to_fb(gate.manifest);
    out.push_back(fb::CreateGateMark(builder, &hash, gate.issue));
  }
  return builder.CreateVector(out);
}

auto pack_pending(flatbuffers::FlatBufferBuilder& builder, const std::vector<PendingReport>& pending) {
  std::vector<flatbuffers::Offset<fb::PendingReport>> out;
  for (const auto& report : pending) {
    out.push_back(fb::CreatePendingReport(builder, report.sequence, builder.CreateVector(report.envelope)));
  }
  return builder.CreateVector(out);
}

void unpack_lists(const fb::DeviceState& in, DeviceState& out) {
  if (in.outcomes() != nullptr) {
    for (const auto* item : *in.outcomes()) {
      out.history.outcomes.push_back({ManifestId(from_fb(item->manifest())), item->sequence(), item->attempt(),
                                      item->retry_epoch(), static_cast<wire::Step>(item->step()),
                                      static_cast<Code>(item->code()), from_fb(item->reason())});
    }
  }
  if (in.gates() != nullptr) {
    for (const auto* item : *in.gates()) out.gates.push_back({ManifestId(from_fb(item->manifest())), item->issue()});
  }
  out.history.refused = unpack_hashes<Hash256>(in.refused());
  out.history.refusal = from_fb(in.refusal());
  out.attempt.packs = unpack_hashes<PackId>(in.packs());
  if (in.pending() != nullptr) {
    for (const auto* item : *in.pending()) out.reports.pending.push_back({item->sequence(), from_fb(item->envelope())});
  }
  if (in.revisions() != nullptr) out.revisions.numbers.assign(in.revisions()->begin(), in.revisions()->end());
}

void unpack_attempt(const fb::DeviceState& in, DeviceState& out) {
  out.attempt.number = in.attempt();
  out.attempt.first = in.attempt_first();
  out.attempt.retry_epoch = in.retry_epoch();
  out.trial.starts = in.starts();
  out.trial.machine_boot = in.machine_boot();
  out.trial.client_starts = in.client_starts();
  out.trial.reachable_before = in.reachable_before();
  out.trial.verdict_code = static_cast<Code>(in.verdict_code());
  out.trial.verdict_reason = from_fb(in.verdict_reason());
  out.attempt.bytes_planned = in.bytes_planned();
  out.attempt.planned_exact = in.planned_exact();
  out.attempt.bytes_fetched = in.bytes_fetched();
  out.attempt.bytes_full = in.bytes_full();
  out.attempt.pack_kind = in.pack_kind();
  out.attempt.bytes_spent = in.bytes_spent();
  out.attempt.fallback_reason = from_fb(in.fallback_reason());
  out.attempt.staging_reported = in.staging_reported();
  out.attempt.bytes_before = in.bytes_before();
  out.permission.start_rollout = in.start_rollout();
  out.permission.start_attempt = in.start_attempt();
  out.permission.waits = from_fb(in.waits());
  if (in.waits_manifest() != nullptr) out.permission.waits_manifest = ManifestId(from_fb(in.waits_manifest()));
  out.permission.waits_attempt = in.waits_attempt();
  out.permission.waits_asks = in.waits_asks();
  out.assignment = from_fb(in.assignment());
}

// What the machine relies on: a phase that works on a candidate has one, and its manifest.
Status check_consistent(const DeviceState& state) {
  const bool needs_candidate = state.phase == Phase::waiting || state.phase == Phase::fetching ||
                               state.phase == Phase::staging || state.phase == Phase::trying ||
                               state.phase == Phase::rolling_back;
  if (needs_candidate && (!state.revisions.candidate || state.revisions.candidate_manifest.empty())) {
    return fail(Code::malformed,
                "device state is in phase " + std::string(phase_name(state.phase)) + " without a candidate revision");
  }
  if (state.revisions.current && state.revisions.current_manifest.empty()) {
    return fail(Code::malformed, "device state has a current revision without its manifest");
  }
  if (state.root.empty()) return fail(Code::malformed, "device state has no root document");
  return {};
}

}  // namespace

std::string_view phase_name(Phase phase) noexcept {
  switch (phase) {
    case Phase::idle: return "idle";
    case Phase::waiting: return "waiting";
    case Phase::fetching: return "fetching";
    case Phase::staging: return "staging";
    case Phase::trying: return "trying";
    case Phase::committing: return "committing";
    case Phase::rolling_back: return "rolling_back";
  }
  return "unknown";
}

Bytes encode_state(const DeviceState& state) {
  flatbuffers::FlatBufferBuilder builder(4096);
  const auto current = pack_record(builder, state.revisions.current);
  const auto previous = pack_record(builder, state.revisions.previous);
  const auto candidate = pack_record(builder, state.revisions.candidate);
  const auto current_manifest = pack_bytes(builder, state.revisions.current_manifest);
  const auto previous_manifest = pack_bytes(builder, state.revisions.previous_manifest);
  const auto candidate_manifest = pack_bytes(builder, state.revisions.candidate_manifest);
  const auto reason = builder.CreateString(state.trial.verdict_reason);
  const auto root = pack_bytes(builder, state.root);
  const auto outcomes = pack_outcomes(builder, state.history.outcomes);
  const auto gates = pack_gates(builder, state.gates);
  const auto refused = pack_hashes(builder, state.history.refused);
  const auto pending = pack_pending(builder, state.reports.pending);
  const auto revisions = builder.CreateVector(state.revisions.numbers);
  const auto packs = pack_hashes(builder, state.attempt.packs);
  const auto fallback = state.attempt.fallback_reason.empty() ? 0 : builder.CreateString(state.attempt.fallback_reason);
  const auto assignment = pack_bytes(builder, state.assignment);
  const auto waits = state.permission.waits.empty() ? 0 : builder.CreateString(state.permission.waits);
  const auto refusal = state.history.refusal.empty() ? 0 : builder.CreateString(state.history.refusal);
  const auto waits_manifest = to_fb(state.permission.waits_manifest);
  const auto device = state.device.empty() ? 0 : builder.CreateString(state.device);
  const auto product = state.product.empty() ? 0 : builder.CreateString(state.product);
  const auto table = fb::CreateDeviceState(
      builder, kFormat, state.generation, static_cast<fb::Phase>(state.phase), current, previous, candidate,
      current_manifest, previous_manifest, candidate_manifest, state.attempt.number, state.attempt.first,
      state.attempt.retry_epoch, state.trial.starts, state.trial.reachable_before,
      static_cast<std::uint16_t>(state.trial.verdict_code), reason, state.attempt.bytes_planned,
      state.attempt.planned_exact, state.attempt.bytes_fetched, state.attempt.bytes_full, state.attempt.pack_kind,
      state.history.highest_sequence, root, outcomes, gates, refused, pending, state.reports.last_report,
      state.reports.acked_report, state.boot, state.revisions.next_number, revisions, packs, state.trial.machine_boot,
      state.trial.client_starts, state.attempt.bytes_spent, fallback, state.attempt.staging_reported, assignment,
      state.attempt.bytes_before, state.permission.start_rollout, state.permission.start_attempt, waits,
      state.permission.waits_manifest.is_zero() ? nullptr : &waits_manifest, state.permission.waits_attempt,
      state.permission.waits_asks, static_cast<std::uint64_t>(state.hearing.last_signed.value),
      static_cast<std::uint64_t>(state.hearing.heard.value), refusal, device, product);
  fb::FinishDeviceStateBuffer(builder, table);
  Bytes out(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
  const auto checksum = trust::digest(out);
  out.insert(out.end(), checksum.bytes.begin(), checksum.bytes.end());
  return out;
}

Result<DeviceState> decode_state(ByteView bytes) {
  if (bytes.size() <= kChecksumBytes) {
    return fail(Code::corrupt, "device state of " + std::to_string(bytes.size()) + " bytes is cut off");
  }
  if (bytes.size() > limits::kStateBytesMax)
    return fail(Code::too_large, "device state is over " + std::to_string(limits::kStateBytesMax) + " bytes");
  const auto body = bytes.first(bytes.size() - kChecksumBytes);
  if (!std::ranges::equal(trust::digest(body).bytes, bytes.last(kChecksumBytes))) {
    return fail(Code::corrupt, "device state does not match its checksum");
  }
  flatbuffers::Verifier verifier(body.data(), body.size());
  if (!fb::VerifyDeviceStateBuffer(verifier)) return fail(Code::malformed, "device state is not a DeviceState buffer");
  const auto& in = *fb::GetDeviceState(body.data());
  if (in.format() != kFormat) {
    return fail(Code::unsupported, "device state has format " + std::to_string(in.format()) + "; this client knows 1");
  }
  if (static_cast<std::size_t>(in.phase()) >= kPhaseCount)
    return fail(Code::malformed, "device state has an unknown phase");
  DeviceState out;
  out.generation = in.generation();
  out.phase = static_cast<Phase>(in.phase());
  out.revisions.current = unpack_record(in.current());
  out.revisions.previous = unpack_record(in.previous());
  out.revisions.candidate = unpack_record(in.candidate());
  out.revisions.current_manifest = from_fb(in.current_manifest());
  out.revisions.previous_manifest = from_fb(in.previous_manifest());
  out.revisions.candidate_manifest = from_fb(in.candidate_manifest());
  unpack_attempt(in, out);
  out.history.highest_sequence = in.highest_sequence();
  out.hearing.last_signed = WallMs{static_cast<std::int64_t>(in.last_signed_ms())};
  out.hearing.heard = WallMs{static_cast<std::int64_t>(in.heard_ms())};
  out.root = from_fb(in.root());
  unpack_lists(in, out);
  out.reports.last_report = in.last_report();
  out.reports.acked_report = in.acked_report();
  out.boot = in.boot();
  out.device = from_fb(in.device());
  out.product = from_fb(in.product());
  out.revisions.next_number = in.next_revision();
  INSTAR_CHECK(check_consistent(out));
  return out;
}

}  // namespace instar::revision

#include <algorithm>
#include <cstdint>

#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/placement.hpp"
#include "schemas/gate_generated.h"

namespace instar::wire {
namespace {

Result<Gate> read_gate(const fb::Gate& from) {
  INSTAR_CHECK(check_format(from.format()));
  Gate gate;
  auto group = GroupPath::parse(flat::view(from.group()));
  if (!group) return bad_field("group", "must be 1 to 4 levels of A-Z a-z 0-9 _ - joined by '/'");
  gate.group = std::move(*group);
  INSTAR_TRY(gate.product, read_product(from.product()));
  INSTAR_TRY(gate.manifest, read_id<ManifestId>(from.manifest(), "manifest"));
  gate.sequence = from.sequence();
  INSTAR_TRY(gate.state, read_enum(from.state(), GateState::reverted, "state"));
  INSTAR_CHECK(check_range(from.admitted_bp(), 0, 10'000, "admitted_bp"));
  gate.admitted_bp = from.admitted_bp();
  INSTAR_CHECK(check_range(from.wave(), 0, limits::kWavesMax - 1, "wave"));
  gate.wave = from.wave();
  INSTAR_TRY(gate.fresh, read_time(from.fresh_ms(), "fresh_ms"));
  INSTAR_CHECK(check_range(count_of(from.wave_opened_ms()), 0, limits::kWavesMax, "wave_opened_ms"));
  for (const std::uint64_t value : flat::numbers(from.wave_opened_ms())) {
    INSTAR_TRY(const WallMs opened, read_time(value, "wave_opened_ms"));
    gate.wave_opened.push_back(opened);
  }
  gate.issue = from.issue();
  gate.retry_epoch = from.retry_epoch();
  INSTAR_CHECK(check_range(from.admitted_point(), 0, kPointsEnd, "admitted_point"));
  gate.admitted_point = from.admitted_point();
  INSTAR_CHECK(check_range(count_of(from.approval()), 0, limits::kApprovalBytesMax, "approval (bytes)"));
  if (from.approval() != nullptr) gate.approval.assign(from.approval()->begin(), from.approval()->end());
  return gate;
}

}  // namespace

Bytes encode(const Gate& gate) {
  FlatBuilder builder(256);
  const auto group = builder.CreateString(gate.group.str());
  const auto product = builder.CreateString(gate.product);
  std::vector<std::uint64_t> opened;
  for (const WallMs time : gate.wave_opened) opened.push_back(flat_time(time));
  const auto wave_opened = opened.empty() ? 0 : builder.CreateVector(opened);
  const auto approval = gate.approval.empty() ? 0 : builder.CreateVector(gate.approval);
  const auto manifest = flat_hash(gate.manifest);
  const auto issue = static_cast<std::uint32_t>(std::min<std::uint64_t>(gate.issue, UINT32_MAX));
  const auto table = fb::CreateGate(
      builder, 1, group, product, &manifest, gate.sequence, static_cast<fb::GateState>(gate.state), gate.admitted_bp,
      gate.wave, flat_time(gate.fresh), wave_opened, issue, gate.retry_epoch, gate.admitted_point, approval);
  builder.Finish(table, fb::GateIdentifier());
  return flat::take(builder);
}

Result<Gate> decode_gate(ByteView payload) {
  INSTAR_TRY(const auto from, flat::open<fb::Gate>(payload, "gate", fb::GateIdentifier()));
  return read_in("gate", read_gate(*from));
}

}  // namespace instar::wire

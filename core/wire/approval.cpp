#include "core/wire/approval.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "schemas/approval_generated.h"

namespace instar::wire {
namespace {

Result<Approval> read_approval(const fb::Approval& from) {
  INSTAR_CHECK(check_format(from.format()));
  Approval approval;
  INSTAR_TRY(approval.product, read_product(from.product()));
  INSTAR_TRY(approval.manifest, read_id<ManifestId>(from.manifest(), "manifest"));
  INSTAR_CHECK(check_range(from.wave(), 0, limits::kWavesMax - 1, "wave"));
  approval.wave = from.wave();
  INSTAR_TRY(approval.issued, read_time(from.issued_ms(), "issued_ms"));
  return approval;
}

}  // namespace

Bytes encode(const Approval& approval) {
  FlatBuilder builder(256);
  const auto product = builder.CreateString(approval.product);
  const auto manifest = flat_hash(approval.manifest);
  builder.Finish(fb::CreateApproval(builder, 1, product, &manifest, approval.wave, flat_time(approval.issued)),
                 fb::ApprovalIdentifier());
  return flat::take(builder);
}

Result<Approval> decode_approval(ByteView payload) {
  INSTAR_TRY(const auto from, flat::open<fb::Approval>(payload, "approval", fb::ApprovalIdentifier()));
  return read_in("approval", read_approval(*from));
}

std::optional<std::uint32_t> signed_yes_needed(const Policy& policy, std::uint32_t wave) noexcept {
  if (!policy.approval_signed) return std::nullopt;
  const auto before = std::min<std::size_t>(wave, policy.waves.size());
  for (std::size_t i = before; i-- > 0;) {
    if (policy.waves[i].approval) return static_cast<std::uint32_t>(i);
  }
  return std::nullopt;
}

Result<Approval> open_approval(const trust::TrustStore& trust, ByteView envelope, const ManifestId& rollout,
                               std::string_view product, std::span<const GroupPath> groups) {
  if (envelope.size() > limits::kApprovalBytesMax) {
    return fail(Code::too_large, "approval: " + std::to_string(envelope.size()) + " bytes, the most is " +
                                     std::to_string(limits::kApprovalBytesMax));
  }
  INSTAR_TRY(const auto opened, trust.open_approval(envelope, groups));
  INSTAR_TRY(auto approval, decode_approval(opened.payload));
  if (approval.manifest != rollout)
    return fail(Code::refused, "the approval is of rollout " + approval.manifest.short_hex() + ", not of this one");
  if (approval.product != product)
    return fail(Code::refused, "the approval is of product " + approval.product + ", not of this one");
  return approval;
}

Status check_approval(const Manifest& manifest, const Gate& gate, const trust::TrustStore& trust) {
  const auto needed = signed_yes_needed(manifest.policy, gate.wave);
  if (!needed || gate.state != GateState::open) return {};
  const auto refuse = [&](const std::string& why) {
    return fail(Code::refused, "the gate opens wave " + std::to_string(gate.wave + 1) + " without a signed approval" +
                                   (why.empty() ? "" : " that counts (" + why + ")"));
  };
  if (gate.approval.empty()) return refuse("");
  const auto approval = open_approval(trust, gate.approval, gate.manifest, manifest.product, manifest.groups);
  if (!approval) return refuse(approval.error().message);
  if (approval->wave >= *needed) return {};
  return refuse("it is of wave " + std::to_string(approval->wave + 1) + ", that of wave " +
                std::to_string(*needed + 1) + " is needed");
}

}  // namespace instar::wire

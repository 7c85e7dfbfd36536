// Members as numbers.
#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/rollout/exchange/fleet.hpp"
#include "core/rollout/exchange/record.hpp"

namespace instar::rollout {

Standing standing_of(const MemberRecord& member) noexcept {
  switch (member.step) {
    case wire::Step::idle:
    case wire::Step::waiting: return Standing::waiting;
    case wire::Step::fetching:
    case wire::Step::staging:
    case wire::Step::trying: return Standing::in_flight;
    case wire::Step::committed: return Standing::committed;
    case wire::Step::refused: return Standing::left_out;
    case wire::Step::rolled_back:
    case wire::Step::failed: break;
  }
  // A newer release came first (stale), or an operator or owner ended it (refused): no fault of the release.
  if (member.code == Code::stale || member.code == Code::refused) return Standing::left_out;
  return member.again ? Standing::retrying : Standing::failed;
}

bool Counts::all_ended() const noexcept {
  for (std::size_t step = 0; step < by_step.size(); ++step) {
    if (by_step[step] > 0 && !wire::is_final(static_cast<wire::Step>(step))) return false;
  }
  return retrying == 0;
}

void Counts::add(const MemberRecord& member) {
  ++by_step[static_cast<std::size_t>(member.step)];
  ++devices;
  const auto standing = standing_of(member);
  retrying += standing == Standing::retrying ? 1 : 0;
  failed += standing == Standing::failed ? 1 : 0;
  asking += member.asks != 0 ? 1 : 0;
  bytes_sent += member.bytes_sent;
  bytes_full += member.bytes_full;
  if (member.code != Code::ok) ++reasons[{member.code, member.reason}];
}

void Counts::subtract(const MemberRecord& member) {
  auto& count = by_step[static_cast<std::size_t>(member.step)];
  INSTAR_ASSERT(count > 0 && devices > 0);
  INSTAR_ASSERT(bytes_sent >= member.bytes_sent && bytes_full >= member.bytes_full);
  --count;
  --devices;
  const auto standing = standing_of(member);
  retrying -= standing == Standing::retrying ? 1 : 0;
  failed -= standing == Standing::failed ? 1 : 0;
  asking -= member.asks != 0 ? 1 : 0;
  bytes_sent -= member.bytes_sent;
  bytes_full -= member.bytes_full;
  if (member.code == Code::ok) return;
  const auto reason = reasons.find({member.code, member.reason});
  INSTAR_ASSERT(reason != reasons.end());
  if (--reason->second == 0) reasons.erase(reason);
}

WaveCounts& WaveCounts::operator+=(const WaveCounts& other) noexcept {
  admitted += other.admitted;
  committed += other.committed;
  failed += other.failed;
  left_out += other.left_out;
  retrying += other.retrying;
  in_flight += other.in_flight;
  waiting += other.waiting;
  unseen += other.unseen;
  late += other.late;
  return *this;
}

std::shared_ptr<const Release> release_of(const wire::Manifest& manifest, std::vector<trust::KeyId> signers) {
  auto release = std::make_shared<Release>();
  release->signers = std::move(signers);
  release->policy = manifest.policy;
  release->issued = manifest.issued;
  release->expires = manifest.expires;
  release->content = wire::content_hash(manifest);
  for (const auto& artifact : manifest.artifacts) {
    std::uint64_t largest = 0;
    for (const auto& pack : artifact.packs) {
      const auto bytes = pack.head_bytes + pack.body_bytes;
      release->packs.push_back(pack.id);
      release->bytes_packs += bytes;
      largest = std::max(largest, bytes);
    }
    release->bytes_full += largest;
  }
  std::ranges::sort(release->packs);
  return release;
}

}  // namespace instar::rollout

#include "core/revision/pack_choice.hpp"

#include <algorithm>
#include <string>

#include "core/base/assert.hpp"

namespace instar::revision {
namespace {

std::vector<artifact::PackOffer> offers_of(const wire::Artifact& artifact) {
  std::vector<artifact::PackOffer> offers;
  for (const auto& pack : artifact.packs) {
    offers.push_back({pack.kind, pack.id, pack.base, pack.format, pack.head_bytes, pack.body_bytes, pack.memory_bytes,
                      pack.body_count});
  }
  return offers;
}

}  // namespace

artifact::Holdings holdings_of(const Revisions& revisions, std::uint64_t memory_bytes) {
  artifact::Holdings holdings;
  holdings.memory_bytes = memory_bytes / 2;
  holdings.delta_decoder = true;
  holdings.artifacts = revisions.artifacts();
  return holdings;
}

Result<std::vector<PackChoice>> choose_packs(const wire::Manifest& manifest, const artifact::Holdings& holdings) {
  std::vector<PackChoice> choices;
  for (const auto& artifact : manifest.artifacts) {
    const auto offers = offers_of(artifact);
    const auto usable = artifact::usable_packs(offers, holdings);
    if (usable.empty()) {
      return fail(Code::unsupported, "none of the " + std::to_string(offers.size()) + " packs of artifact " +
                                         artifact.id.short_hex() +
                                         " can be used here (format or memory); publish one that can");
    }
    choices.push_back({artifact.id, offers[usable.front().offer].id});
  }
  return choices;
}

Status check_byte_budget(const wire::Manifest& manifest, const std::vector<PackChoice>& choices) {
  const auto budget = manifest.policy.device_bytes_max;
  if (budget == 0) return {};
  std::uint64_t least = 0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const auto* pack = find_pack(manifest.artifacts[i], choices[i].pack);
    INSTAR_ASSERT(pack != nullptr);
    least += likely_bytes(*pack);
  }
  if (least <= budget) return {};
  return fail(Code::refused, "the cheapest way costs " + std::to_string(least) +
                                 " bytes, the release's budget for a device is " + std::to_string(budget) +
                                 ": publish with a larger one, or a delta from what runs here");
}

std::vector<artifact::Candidate> choose_repair(const wire::Artifact& artifact, artifact::Missing missing,
                                               const artifact::Holdings& holdings) {
  if (missing.files == 0) missing = {artifact.entry_count, artifact.content_bytes};
  return artifact::repair_packs(offers_of(artifact), holdings, artifact.content_bytes, missing);
}

const wire::Pack* find_pack(const wire::Artifact& artifact, const PackId& id) noexcept {
  const auto found = std::ranges::find(artifact.packs, id, &wire::Pack::id);
  return found == artifact.packs.end() ? nullptr : &*found;
}

std::uint64_t full_bytes(const wire::Artifact& artifact) noexcept {
  const auto full = std::ranges::find(artifact.packs, artifact::PackKind::full, &wire::Pack::kind);
  return full == artifact.packs.end() ? 0 : full->head_bytes + full->body_bytes;
}

std::uint64_t likely_bytes(const wire::Pack& pack) noexcept {
  return pack.head_bytes + (pack.kind == artifact::PackKind::dedupe ? 0 : pack.body_bytes);
}

std::optional<artifact::PackKind> kind_of_largest(const wire::Manifest& manifest, std::span<const PackId> packs) {
  std::optional<artifact::PackKind> kind;
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < packs.size(); ++i) {
    const auto& artifact = manifest.artifacts[i];
    const auto bytes = full_bytes(artifact);
    const auto* pack = find_pack(artifact, packs[i]);
    INSTAR_ASSERT(pack != nullptr);
    if (!kind || bytes > largest) kind = pack->kind;
    largest = std::max(largest, bytes);
  }
  return kind;
}

bool needs_previous(const wire::Manifest& manifest, std::span<const PackId> packs, const Revisions& revisions) {
  for (std::size_t i = 0; i < packs.size(); ++i) {
    const auto* pack = find_pack(manifest.artifacts[i], packs[i]);
    if (pack != nullptr && pack->kind == artifact::PackKind::delta && revisions.only_previous_has(pack->base))
      return true;
  }
  return false;
}

}  // namespace instar::revision

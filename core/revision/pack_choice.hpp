// Which pack brings which artifact of a release, and what that costs. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/artifact/plan.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/revision/effects.hpp"
#include "core/revision/revisions.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

// What this device can build on. `memory_bytes`: of the whole device.
[[nodiscard]] artifact::Holdings holdings_of(const Revisions& revisions, std::uint64_t memory_bytes);

// The cheapest usable pack of each artifact, in the manifest's order. Errors: unsupported.
[[nodiscard]] Result<std::vector<PackChoice>> choose_packs(const wire::Manifest& manifest,
                                                           const artifact::Holdings& holdings);

// Against the least that the chosen packs will cost: of a dedupe pack its head, of which the device learns the rest.
// Errors: refused.
[[nodiscard]] Status check_byte_budget(const wire::Manifest& manifest, const std::vector<PackChoice>& choices);

// Packs that bring what a chosen one cannot, cheapest first, as positions in `artifact`.packs. `missing` without files:
// everything is missing.
[[nodiscard]] std::vector<artifact::Candidate> choose_repair(const wire::Artifact& artifact, artifact::Missing missing,
                                                             const artifact::Holdings& holdings);

// Null: the artifact has no such pack.
[[nodiscard]] const wire::Pack* find_pack(const wire::Artifact& artifact, const PackId& id) noexcept;
// Of the artifact's full pack.
[[nodiscard]] std::uint64_t full_bytes(const wire::Artifact& artifact) noexcept;
// What will be fetched of a pack of which nothing is held, as far as the manifest says: of a dedupe pack the head.
[[nodiscard]] std::uint64_t likely_bytes(const wire::Pack& pack) noexcept;
// Reports name one kind: that of the largest artifact. nullopt: there are no artifacts.
[[nodiscard]] std::optional<artifact::PackKind> kind_of_largest(const wire::Manifest& manifest,
                                                                std::span<const PackId> packs);
// A chosen delta is made from an artifact that the previous revision alone has.
[[nodiscard]] bool needs_previous(const wire::Manifest& manifest, std::span<const PackId> packs,
                                  const Revisions& revisions);

}  // namespace instar::revision

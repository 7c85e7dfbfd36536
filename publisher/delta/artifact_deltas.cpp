#include "publisher/delta/artifact_deltas.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "publisher/artifact/delta_pack.hpp"
#include "publisher/artifact/fetch_cost.hpp"
#include "publisher/console/table.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kSeedBytes = 32;

const PackFile* delta_of(const ArtifactFolder& folder, const ArtifactId& base) {
  const auto found = std::ranges::find_if(folder.packs, [&](const PackFile& pack) {
    return pack.directory().kind == artifact::PackKind::delta && pack.directory().base == base;
  });
  return found == folder.packs.end() ? nullptr : &*found;
}

Result<BaseWeight> weigh_others(const ArtifactFolder& folder, const ReadableTree& fresh, const ReadableTree& base,
                                const Work& work) {
  BaseWeight weight{.base = base.id, .dedupe_bytes = {}, .delta_bytes = {}};
  HeldTree held(base);
  for (const PackFile& pack : folder.packs) {
    const auto kind = pack.directory().kind;
    if (kind == artifact::PackKind::delta) continue;
    INSTAR_TRY(const auto bytes, held.bytes_to_fetch(pack, fresh.entries, work));
    if (kind == artifact::PackKind::full) weight.full_bytes = bytes.value_or(0);
    if (kind == artifact::PackKind::dedupe) weight.dedupe_bytes = bytes;
  }
  return weight;
}

std::string why_not(const ArtifactFolder& folder, const BaseWeight& weight) {
  if (weight.base == folder.id) return "it is the same artifact: a device that has it fetches nothing";
  if (weight.delta_pays() || !weight.delta_bytes) return {};
  const bool dedupe = weight.dedupe_bytes && *weight.dedupe_bytes < weight.full_bytes;
  return "the delta has " + std::to_string(*weight.delta_bytes) + " bytes, " + (dedupe ? "dedupe" : "full") +
         " costs a device that has it " + std::to_string(weight.best_without_delta());
}

Status check_decodes(const PackFile& pack, const ReadableTree& base, const Work& work) {
  const auto entries = rebuild_delta(pack, base, nullptr, work);
  if (entries || entries.error().code == Code::unavailable) return entries ? Status{} : Status(fail(entries.error()));
  return fail(Code::internal, "the delta that was made does not decode, and was left out: " + entries.error().message);
}

// A pack file. The destructor removes it unless it is to be kept.
class PackGuard {
 public:
  explicit PackGuard(std::string path) : path_(std::move(path)) {}
  PackGuard(const PackGuard&) = delete;
  PackGuard& operator=(const PackGuard&) = delete;
  ~PackGuard() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  void keep() noexcept { path_.clear(); }

 private:
  std::string path_;
};

// Writes the base's figures to the folder's listing. After an error the folder is unchanged.
Status remember(ArtifactFolder& folder, const BaseWeight& weight, std::optional<PackFile> pack) {
  const auto weights = folder.weights;
  std::erase_if(folder.weights, [&](const BaseWeight& each) { return each.base == weight.base; });
  folder.weights.push_back(weight);
  const bool has_pack = pack.has_value();
  if (has_pack) folder.packs.push_back(std::move(*pack));
  auto status = write_listing(folder);
  if (status) return {};
  folder.weights = weights;
  if (has_pack) folder.packs.pop_back();
  return status;
}

}  // namespace

std::optional<DeltaOutcome> known_delta(const ArtifactFolder& folder, const ArtifactId& base, const std::string& name) {
  const auto weight = std::ranges::find(folder.weights, base, &BaseWeight::base);
  if (weight == folder.weights.end()) return std::nullopt;
  DeltaOutcome outcome{
      .name = name, .weight = *weight, .kept = delta_of(folder, base) != nullptr, .was_there = true, .why_dropped = {}};
  outcome.why_dropped = why_not(folder, *weight);
  // If somebody has removed the pack from the folder, it is made again.
  if (!outcome.kept && outcome.why_dropped.empty()) return std::nullopt;
  return outcome;
}

Result<DeltaOutcome> add_delta(ArtifactFolder& folder, const ReadableTree& fresh, const ReadableTree& base,
                               const DeltaPolicy& policy) {
  if (fresh.id != folder.id) {
    return fail(Code::corrupt, fresh.name + " is artifact " + fresh.id.short_hex() + " now, " + folder.path +
                                   " was made of " + folder.id.short_hex() + ": pack it again");
  }
  const Work& work = policy.options.work;
  if (auto known = known_delta(folder, base.id, base.name); known && (known->kept || !policy.keep_costly))
    return std::move(*known);
  DeltaOutcome outcome{.name = base.name, .weight = {}, .why_dropped = {}};
  INSTAR_TRY(outcome.weight, weigh_others(folder, fresh, base, work));
  if (const PackFile* there = delta_of(folder, base.id)) {
    // It was made, but not yet compared with the other packs.
    outcome.weight.delta_bytes = there->wire_bytes();
    outcome.why_dropped = why_not(folder, outcome.weight);
    outcome.kept = outcome.was_there = true;
    INSTAR_CHECK(remember(folder, outcome.weight, std::nullopt));
    return outcome;
  }
  if (folder.packs.size() >= limits::kPacksMax) {
    outcome.why_dropped =
        "the artifact has " + std::to_string(folder.packs.size()) + " packs, as many as a manifest takes";
    return outcome;
  }
  outcome.why_dropped = why_not(folder, outcome.weight);
  std::optional<PackFile> pack;
  if (outcome.why_dropped.empty() || policy.keep_costly) {
    INSTAR_TRY(pack, write_delta_pack(base, fresh, folder.path, policy.options));
  }
  PackGuard guard(pack ? pack->path() : "");
  if (pack) {
    INSTAR_CHECK(check_decodes(*pack, base, work));
    outcome.weight.delta_bytes = pack->wire_bytes();
    outcome.why_dropped = why_not(folder, outcome.weight);
    outcome.kept = outcome.why_dropped.empty() || policy.keep_costly;
  }
  INSTAR_CHECK(remember(folder, outcome.weight, outcome.kept ? std::move(pack) : std::nullopt));
  if (outcome.kept) guard.keep();
  return outcome;
}

std::size_t minimal_manifest_bytes(const ArtifactFolder& folder) {
  wire::Manifest manifest;
  manifest.product = manifest.release = "r";
  manifest.sequence = 1;
  manifest.issued = WallMs{1};
  const auto group = GroupPath::parse("g");
  INSTAR_ASSERT(group.has_value());
  manifest.groups = {*group};
  manifest.artifacts = {manifest_artifact(folder)};
  manifest.containers.emplace_back();
  manifest.containers.back().name = "c";
  manifest.containers.back().artifact = folder.id;
  manifest.policy.salt = Bytes(kSaltBytes);
  // Any key will do, because all signatures have the same size.
  const auto key = trust::SecretKey::from_seed(Bytes(kSeedBytes));
  INSTAR_ASSERT(key.has_value());
  return trust::seal(trust::Kind::manifest, wire::manifest_payload(manifest), *key).size();
}

Json outcomes_json(const std::vector<DeltaOutcome>& outcomes) {
  Json rows = Json::array();
  for (const auto& [name, weight, kept, was_there, why] : outcomes) {
    rows.push_back({{"name", name},
                    {"base", weight.base.hex()},
                    {"full_bytes", weight.full_bytes},
                    {"dedupe_bytes", weight.dedupe_bytes ? Json(*weight.dedupe_bytes) : Json()},
                    {"delta_bytes", weight.delta_bytes ? Json(*weight.delta_bytes) : Json()},
                    {"delta_kept", kept}});
  }
  return rows;
}

Json dropped_json(const std::vector<DeltaOutcome>& outcomes) {
  Json rows = Json::array();
  for (const auto& outcome : outcomes) {
    if (outcome.kept) continue;
    const auto& bytes = outcome.weight.delta_bytes;
    rows.push_back({{"kind", "delta"},
                    {"name", outcome.name},
                    {"base", outcome.weight.base.hex()},
                    {"wire_bytes", bytes ? Json(*bytes) : Json()},
                    {"reason", outcome.why_dropped}});
  }
  return rows;
}

std::string outcomes_text(const std::vector<DeltaOutcome>& outcomes) {
  if (outcomes.empty()) return {};
  Table table;
  table.column("A DEVICE THAT HAS");
  table.column("ARTIFACT");
  table.column("FETCHES BY FULL", Align::right);
  table.column("BY DEDUPE", Align::right);
  table.column("BY DELTA", Align::right);
  std::string notes;
  for (const auto& [name, weight, kept, was_there, why] : outcomes) {
    table.row({name, weight.base.short_hex(), std::to_string(weight.full_bytes),
               weight.dedupe_bytes ? std::to_string(*weight.dedupe_bytes) : "-",
               kept ? std::to_string(*weight.delta_bytes) : "-"});
    if (why.empty()) continue;
    notes += std::string(kept ? "delta against " : "no delta against ") + printable(name) + ": " + why +
             (kept ? "; kept all the same" : "") + "\n";
  }
  return table.str() + notes;
}

}  // namespace instar::publisher

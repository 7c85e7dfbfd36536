#include "publisher/release/release_deltas.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/artifact/image.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "publisher/artifact/pack_contents.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using artifact::EntryType;

Result<std::vector<Entry>> read_index_of(const std::string& folder) {
  INSTAR_TRY(const auto bytes, files::read_file(folder + "/" + std::string(kIndexFile), limits::kIndexBytesMax));
  return artifact::read_index(bytes, kReadAll);
}

// Bytes of `fresh` whose path or content `base` has too: how much the trees have in common.
std::uint64_t overlap(const std::vector<Entry>& base, const std::vector<Entry>& fresh) {
  std::unordered_map<std::string_view, bool> paths;
  std::unordered_map<Hash256, bool> contents;
  for (const Entry& entry : base) {
    if (entry.type != EntryType::file) continue;
    paths.emplace(entry.path, true);
    contents.emplace(entry.content, true);
  }
  std::uint64_t bytes = 0;
  for (const Entry& entry : fresh) {
    if (entry.type == EntryType::file && (paths.contains(entry.path) || contents.contains(entry.content)))
      bytes += entry.size;
  }
  return bytes;
}

bool is_image(const std::vector<Entry>& entries) {
  return entries.size() == artifact::kImageEntries && entries.back().path == artifact::kImagePath;
}

// Bytes of the chunks that both dedupe packs have. 0 if one of the artifacts has no dedupe pack.
std::uint64_t common_chunk_bytes(const std::string& base, const ArtifactFolder& fresh) {
  const auto chunks_of = [](const ArtifactFolder& folder) {
    std::unordered_map<ChunkHash, std::uint64_t> chunks;
    for (const auto& pack : folder.packs) {
      if (pack.directory().kind != artifact::PackKind::dedupe) continue;
      for (const auto& chunk : pack.directory().chunks) chunks.emplace(chunk.hash, chunk.decoded_bytes);
    }
    return chunks;
  };
  const auto opened =
      is_artifact_folder(base) ? open_artifact(base) : Result<ArtifactFolder>(fail(Code::not_found, base));
  if (!opened) return 0;
  const auto held = chunks_of(*opened);
  std::uint64_t bytes = 0;
  for (const auto& [hash, size] : chunks_of(fresh)) bytes += held.contains(hash) ? size : 0;
  return bytes;
}

// How much two artifacts have in common, larger for more. All images have the same path, so their chunks count, and
// then their size.
std::pair<std::uint64_t, std::uint64_t> likeness(const ReadableTree& base, const std::vector<Entry>& fresh,
                                                 const ArtifactFolder& folder) {
  if (!is_image(base.entries) || !is_image(fresh)) return {overlap(base.entries, fresh), 0};
  const auto [less, more] = std::minmax(base.entries.back().size, fresh.back().size);
  return {common_chunk_bytes(base.name, folder), UINT64_MAX - (more - less)};
}

class Maker {
 public:
  Maker(ArtifactFolders& artifacts, const ReleaseDeltaOptions& options)
      : artifacts_(artifacts), policy_(options.policy), wanted_(options.policy.options.work) {
    const auto start = monotonic_now();
    policy_.options.work.stopped = [this, start, time_ms = options.time_ms] {
      return !wanted_.go_on() || (time_ms > 0 && monotonic_now() - start >= time_ms);
    };
  }

  // Makes the delta of the release's artifact that has most in common with the one at `path`.
  Result<ReleaseDelta> make(const std::string& path) {
    ReleaseDelta made;
    if (auto known = find_known(path)) return std::move(*known);
    auto outcome = make_new(path, made.artifact);
    if (!outcome) {
      // A stop by the operator is an error of the command. The end of the time is not.
      INSTAR_CHECK(wanted_.go_on());
      made.outcome.name = path;
      made.error = outcome.error().code == Code::unavailable ? "it could not be made within --delta-time"
                                                             : outcome.error().message;
      if (const auto id = base_id_) made.outcome.weight.base = *id;
      return made;
    }
    made.outcome = std::move(*outcome);
    return made;
  }

 private:
  std::optional<ReleaseDelta> find_known(const std::string& path) const {
    if (!is_artifact_folder(path)) return std::nullopt;
    const auto base = listed_artifact(path);
    if (!base) return std::nullopt;
    for (const auto& [name, folder] : artifacts_) {
      ReleaseDelta known;
      auto outcome = known_delta(folder, *base, path);
      if (!outcome) continue;
      known.outcome = std::move(*outcome);
      known.artifact = folder.id;
      return known;
    }
    return std::nullopt;
  }

  Result<DeltaOutcome> make_new(const std::string& path, ArtifactId& artifact) {
    base_id_.reset();
    const Work& work = policy_.options.work;
    INSTAR_CHECK(work.go_on());
    INSTAR_TRY(const auto base, open_tree(path, parent_folder(artifacts_.begin()->first), work));
    base_id_ = base.id;
    INSTAR_TRY(ArtifactFolder* const target, most_alike(base));
    artifact = target->id;
    auto fresh = trees_.find(target->path);
    if (fresh == trees_.end()) {
      INSTAR_TRY(auto tree, open_tree(target->path, parent_folder(target->path), work));
      fresh = trees_.emplace(target->path, std::move(tree)).first;
    }
    return add_delta(*target, fresh->second, base, policy_);
  }

  Result<ArtifactFolder*> most_alike(const ReadableTree& base) {
    ArtifactFolder* best = nullptr;
    std::pair<std::uint64_t, std::uint64_t> best_likeness;
    for (auto& [path, folder] : artifacts_) {
      if (artifacts_.size() == 1) return &folder;
      INSTAR_TRY(const auto entries, read_index_of(path));
      const auto alike = likeness(base, entries, folder);
      if (best != nullptr && alike <= best_likeness) continue;
      best = &folder;
      best_likeness = alike;
    }
    INSTAR_ASSERT(best != nullptr);
    return best;
  }

  ArtifactFolders& artifacts_;
  DeltaPolicy policy_;
  Work wanted_;
  std::map<std::string, ReadableTree> trees_;  // the release's trees, unpacked when first needed
  std::optional<ArtifactId> base_id_;
};

bool is_of_release(const ArtifactFolders& artifacts, const ArtifactId& id) {
  return std::ranges::any_of(artifacts, [&](const auto& each) { return each.second.id == id; });
}

std::string devices_run(const FleetArtifact& each) {
  return count_of(each.devices, "device") + (each.devices == 1 ? " runs" : " run") + " artifact " +
         each.artifact.short_hex() + " of release " + printable(each.release);
}

LocalArtifacts local_artifacts(const ArtifactFolders& artifacts, const std::string& folder, Status& status) {
  LocalArtifacts local;
  for (const auto& [path, unused] : artifacts) local.add_siblings_of(path);
  if (!folder.empty()) status = local.add_folders_in(folder);
  return local;
}

std::string bytes_or_dash(const std::optional<std::uint64_t>& bytes) {
  return bytes ? std::to_string(*bytes) : "-";
}

}  // namespace

Result<ReleaseDeltas> make_release_deltas(ArtifactFolders& artifacts, Fleet fleet, const ReleaseDeltaOptions& options) {
  ReleaseDeltas result;
  result.fleet = std::move(fleet);
  Status status;
  const LocalArtifacts local = local_artifacts(artifacts, options.artifacts, status);
  INSTAR_CHECK(status);
  Maker maker(artifacts, options);
  for (const auto& path : options.bases) {
    if (real_path(path).empty()) return fail(Code::not_found, path + ", given with --base: no such folder or file");
    INSTAR_TRY(auto made, maker.make(path));
    result.deltas.push_back(std::move(made));
  }
  if (result.fleet.asked && !result.fleet.known) {
    result.notes.emplace_back(
        "the broker does not tell what its devices run, its plugin is older: deltas are made against --base only");
  }
  std::size_t made_count = 0;
  for (const auto& each : result.fleet.artifacts) {
    if (is_of_release(artifacts, each.artifact)) {
      result.notes.push_back(devices_run(each) + ", which this release has too: nothing of it is fetched");
      continue;
    }
    const auto named =
        std::ranges::find(result.deltas, each.artifact, [](const auto& delta) { return delta.outcome.weight.base; });
    if (named != result.deltas.end()) {
      named->devices = each.devices;
      named->release = each.release;
      continue;
    }
    const auto path = local.find(each.artifact);
    if (!path) {
      result.missing.push_back(each);
      result.notes.push_back(devices_run(each) + ", which is not in " + local.places() +
                             ": they take dedupe or full; name its folder or tree with --base");
      continue;
    }
    if (made_count == options.deltas_max) {
      result.notes.push_back(devices_run(each) + ": no delta is made, --deltas-max " +
                             std::to_string(options.deltas_max) + " is reached");
      continue;
    }
    ++made_count;
    INSTAR_TRY(auto made, maker.make(*path));
    made.devices = each.devices;
    made.release = each.release;
    result.deltas.push_back(std::move(made));
  }
  return result;
}

void leave_out_deltas(ArtifactFolders& artifacts) {
  for (auto& [path, folder] : artifacts) {
    std::erase_if(folder.packs,
                  [](const PackFile& pack) { return pack.directory().kind == artifact::PackKind::delta; });
  }
}

Json release_deltas_json(const ReleaseDeltas& deltas) {
  Json rows = Json::array();
  for (const auto& each : deltas.deltas) {
    const auto& weight = each.outcome.weight;
    const std::string reason = each.error.empty() ? each.outcome.why_dropped : each.error;
    rows.push_back({{"base", weight.base.hex()},
                    {"name", each.outcome.name},
                    {"artifact", each.artifact.is_zero() ? Json() : Json(each.artifact.hex())},
                    {"release", each.release},
                    {"devices", each.devices},
                    {"full_bytes", weight.full_bytes},
                    {"dedupe_bytes", weight.dedupe_bytes ? Json(*weight.dedupe_bytes) : Json()},
                    {"delta_bytes", weight.delta_bytes ? Json(*weight.delta_bytes) : Json()},
                    {"kept", each.outcome.kept},
                    {"was_there", each.outcome.was_there},
                    {"reason", reason.empty() ? Json() : Json(reason)}});
  }
  Json missing = Json::array();
  for (const auto& each : deltas.missing) {
    missing.push_back({{"artifact", each.artifact.hex()}, {"release", each.release}, {"devices", each.devices}});
  }
  return {{"fleet_known", deltas.fleet.known},
          {"devices", deltas.fleet.devices},
          {"devices_without", deltas.fleet.devices_without},
          {"bases", std::move(rows)},
          {"missing", std::move(missing)},
          {"notes", deltas.notes}};
}

std::string release_deltas_text(const ReleaseDeltas& deltas) {
  Table table;
  table.column("DEVICES", Align::right);
  table.column("RUN");
  table.column("BASE");
  table.column("FETCH BY FULL", Align::right);
  table.column("BY DEDUPE", Align::right);
  table.column("BY DELTA", Align::right);
  table.column("");
  std::string notes;
  for (const auto& each : deltas.deltas) {
    const auto& weight = each.outcome.weight;
    const bool known = each.error.empty();
    table.row({deltas.fleet.known ? std::to_string(each.devices) : "?", each.release.empty() ? "-" : each.release,
               each.outcome.name, known ? std::to_string(weight.full_bytes) : "-", bytes_or_dash(weight.dedupe_bytes),
               bytes_or_dash(weight.delta_bytes),
               !each.outcome.kept       ? "left out"
               : each.outcome.was_there ? "was there"
                                        : "made"});
    const std::string& reason = known ? each.outcome.why_dropped : each.error;
    if (!reason.empty()) notes += "no delta against " + printable(each.outcome.name) + ": " + reason + "\n";
  }
  for (const auto& note : deltas.notes) notes += note + "\n";
  return (table.empty() ? "" : table.str()) + notes;
}

}  // namespace instar::publisher

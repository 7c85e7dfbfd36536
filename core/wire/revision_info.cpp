#include "core/wire/revision_info.hpp"

#include "core/base/limits.hpp"

namespace instar::wire {
namespace {

Result<RevisionInfo> read_present(const fb::RevisionInfo& from) {
  RevisionInfo info;
  INSTAR_TRY(info.product, read_product(from.product()));
  INSTAR_TRY(info.release, read_name(from.release(), "release"));
  info.sequence = from.sequence();
  info.manifest = ManifestId(read_hash(from.manifest()));
  const auto read_artifact = [](const fb::Hash256* hash) { return Result<ArtifactId>(ArtifactId(read_hash(hash))); };
  INSTAR_TRY(info.artifacts,
             read_each<ArtifactId>(from.artifacts(), "artifacts", 0, limits::kArtifactsMax, read_artifact));
  return info;
}

}  // namespace

Result<std::optional<RevisionInfo>> read_revision(const fb::RevisionInfo* from, std::string_view field) {
  if (from == nullptr) return std::nullopt;
  INSTAR_TRY(auto info, read_in(field, read_present(*from)));
  return std::optional(std::move(info));
}

flatbuffers::Offset<fb::RevisionInfo> write_revision(FlatBuilder& builder, const std::optional<RevisionInfo>& info) {
  if (!info) return {};
  const auto product = builder.CreateString(info->product);
  const auto release = builder.CreateString(info->release);
  std::vector<fb::Hash256> hashes;
  for (const ArtifactId& artifact : info->artifacts) hashes.push_back(flat_hash(artifact));
  const auto artifacts = hashes.empty() ? 0 : builder.CreateVectorOfStructs(hashes);
  const auto manifest = flat_hash(info->manifest);
  return fb::CreateRevisionInfo(builder, product, release, info->sequence,
                                info->manifest.is_zero() ? nullptr : &manifest, artifacts);
}

}  // namespace instar::wire

#include "publisher/artifact/artifact_folder.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/artifact/holes.hpp"
#include "core/artifact/image.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "files/files.hpp"
#include "publisher/artifact/delta_pack.hpp"
#include "publisher/artifact/image_file.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/artifact/pack_contents.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr std::uint64_t kFormat = 1;

// The files that artifact.json names, and the artifact that it says they contain.
struct Listing {
  ArtifactId id;
  wire::ImageFormat image_format = wire::ImageFormat::none;
  std::vector<std::string> pack_files;
  std::vector<BaseWeight> weights;
  std::optional<Origin> origin;
};

Result<ArtifactId> parse_artifact(JsonObject& object, std::string_view key) {
  INSTAR_TRY(const auto text, object.text(key));
  const auto artifact = ArtifactId::from_hex(text);
  if (!artifact) return fail(Code::malformed, object.where(key) + " must be 64 hex digits");
  return *artifact;
}

Result<BaseWeight> parse_weight(const Json& json, const std::string& where) {
  INSTAR_TRY(auto object, JsonObject::of(json, where));
  BaseWeight weight;
  INSTAR_TRY(weight.base, parse_artifact(object, "base"));
  INSTAR_TRY(weight.full_bytes, object.number_or("full_bytes", 0, limits::kWeightBytesMax));
  INSTAR_TRY(const auto dedupe, object.number_or("dedupe_bytes", 0, limits::kWeightBytesMax));
  INSTAR_TRY(const auto delta, object.number_or("delta_bytes", 0, limits::kWeightBytesMax));
  if (object.find("dedupe_bytes") != nullptr) weight.dedupe_bytes = dedupe;
  if (object.find("delta_bytes") != nullptr) weight.delta_bytes = delta;
  return weight;
}

Result<wire::ImageFormat> parse_format(JsonObject& object) {
  INSTAR_TRY(const auto kind, object.text_or("kind", "tree"));
  INSTAR_TRY(const auto name, object.text_or("image_format", ""));
  if (kind == "tree" && name.empty()) return wire::ImageFormat::none;
  const auto format = wire::parse_image_format(name);
  if (kind == "image" && format) return *format;
  return fail(Code::unsupported, object.where("kind") + " is '" + kind + "', image_format '" + name +
                                     "': this command knows trees, and images of squashfs, erofs and ext4");
}

Result<Listing> parse_listing(const Json& json, const std::string& where) {
  INSTAR_TRY(auto object, JsonObject::of(json, where));
  INSTAR_TRY(const auto format, object.number_or("format", 0, 1'000));
  if (format != kFormat)
    return fail(Code::unsupported, where + " has format " + std::to_string(format) + ", this command reads 1");
  Listing listing;
  INSTAR_TRY(listing.id, parse_artifact(object, "artifact"));
  INSTAR_TRY(listing.image_format, parse_format(object));
  const Json* packs = object.find("packs");
  if (packs == nullptr || !packs->is_array() || packs->empty() || packs->size() > limits::kPacksMax) {
    return fail(Code::malformed, where + ": packs must be an array of 1 to " + std::to_string(limits::kPacksMax));
  }
  for (const auto& pack : *packs) {
    INSTAR_TRY(auto entry, JsonObject::of(pack, where + ": pack"));
    INSTAR_TRY(const auto file, entry.text("file"));
    if (!is_name(file))
      return fail(Code::malformed, where + ": pack file '" + file + "' must be a plain name inside the folder");
    listing.pack_files.push_back(file);
  }
  if (const Json* const origin = object.find("origin")) {
    INSTAR_TRY(listing.origin, parse_origin(*origin, object.where("origin")));
  }
  const Json* bases = object.find("bases");
  if (bases == nullptr) return listing;
  if (!bases->is_array() || bases->size() > limits::kWeightBasesMax) {
    return fail(Code::malformed,
                where + ": bases must be an array of at most " + std::to_string(limits::kWeightBasesMax));
  }
  for (const auto& base : *bases) {
    INSTAR_TRY(auto weight, parse_weight(base, where + ": base"));
    listing.weights.push_back(std::move(weight));
  }
  return listing;
}

std::string listing_of(const std::string& path) {
  return path + "/" + std::string(kArtifactFile);
}

Result<Listing> read_listing(const std::string& path) {
  if (is_file(path)) {
    return fail(Code::invalid_argument, path +
                                            " is a file, not an artifact folder. If it holds a file system or a "
                                            "container image, make one of it with: instar pack " +
                                            path + " -o OUT");
  }
  auto text = files::read_file(listing_of(path), limits::kArtifactFileBytesMax);
  if (!text) {
    if (text.error().code != Code::not_found) return fail(text.error());
    return fail(
        Code::not_found,
        path + " is not an artifact folder: it has no artifact.json. Make one with: instar pack TREE -o " + path);
  }
  INSTAR_TRY(const auto json, parse_json(as_text(*text), listing_of(path)));
  return parse_listing(json, listing_of(path));
}

Status check_index(const Bytes& bytes, const std::string& path, ArtifactFolder& folder) {
  std::uint32_t entries = 0;
  artifact::IndexReader reader(
      [&](const artifact::Entry& entry) -> Status {
        ++entries;
        return folder.image_format == wire::ImageFormat::none ? Status{} : artifact::check_image_entry(entry);
      },
      kReadAll);
  auto status = reader.feed(bytes);
  if (!status) return fail(with_context(status.error(), path));
  const auto id = reader.finish();
  if (!id) return fail(with_context(id.error(), path));
  if (*id != folder.id) {
    return fail(Code::corrupt, path + " is the index of artifact " + id->short_hex() + ", artifact.json names " +
                                   folder.id.short_hex() + ": pack the tree again");
  }
  folder.entry_count = entries;
  folder.index_bytes = static_cast<std::uint32_t>(bytes.size());
  return {};
}

std::uint64_t decoded_body_bytes(const artifact::PackDirectory& directory) {
  std::uint64_t bytes = 0;
  for (std::size_t i = directory.head_count; i < directory.chunks.size(); ++i)
    bytes += directory.chunks[i].decoded_bytes;
  return bytes;
}

// Follows the content stream of a pack's body, file by file.
class ContentCheck {
 public:
  explicit ContentCheck(std::vector<artifact::StreamFile> files) : files_(std::move(files)) { skip_empty(); }

  Status feed(ByteView bytes) {
    while (!bytes.empty()) {
      if (next_ == files_.size()) return fail(Code::corrupt, "the body is longer than the files of the index");
      const auto& file = files_[next_];
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), file.size - done_));
      hasher_.update(bytes.first(take));
      bytes = bytes.subspan(take);
      done_ += take;
      if (done_ < file.size) continue;
      if (hasher_.finish() != file.content)
        return fail(Code::corrupt, "the content of " + file.path + " does not match the index");
      ++next_;
      skip_empty();
    }
    return {};
  }

  [[nodiscard]] Status finish() const {
    if (next_ == files_.size()) return {};
    return fail(Code::corrupt, "the body ends before the content of " + files_[next_].path);
  }

 private:
  void skip_empty() {
    while (next_ < files_.size() && files_[next_].size == 0) ++next_;
    done_ = 0;
    hasher_ = trust::Hasher();
  }
  std::vector<artifact::StreamFile> files_;
  std::size_t next_ = 0;
  std::uint64_t done_ = 0;
  trust::Hasher hasher_;
};

Status check_format(const ArtifactFolder& folder, ByteView first) {
  INSTAR_TRY(const auto format, probe_image(first, folder.content_bytes, "the image in it"));
  if (format == folder.image_format) return {};
  return fail(Code::corrupt, "the image in it is " + std::string(wire::image_format_name(format)) +
                                 ", artifact.json says " + std::string(wire::image_format_name(folder.image_format)) +
                                 ": pack the image again");
}

Status verify_pack(const PackFile& pack, const ArtifactFolder& folder) {
  std::vector<artifact::Entry> entries;
  const auto& directory = pack.directory();
  std::size_t body_next = directory.head_count;
  artifact::PackHeadReader head(
      folder.index_bytes,
      [&](const artifact::Entry& entry) -> Status {
        entries.push_back(entry);
        return {};
      },
      [&](const artifact::BodyChunk& chunk) -> Status {
        if (body_next >= directory.chunks.size() || chunk.ref != directory.chunks[body_next]) {
          return fail(Code::corrupt, "the body table in the head differs from the directory");
        }
        ++body_next;
        return {};
      },
      kReadAll);
  std::optional<ContentCheck> content;
  const auto end_of_head = [&]() -> Status {
    INSTAR_TRY(const auto id, head.finish());
    if (id != folder.id) return fail(Code::corrupt, "the head holds the index of another artifact");
    if (body_next != directory.chunks.size())
      return fail(Code::corrupt, "the body table in the head is shorter than the directory");
    content.emplace(artifact::stream_files(entries));
    return {};
  };
  const auto on_chunk = [&](std::uint32_t ordinal, ByteView decoded) -> Status {
    if (ordinal < directory.head_count) return head.feed(decoded);
    if (!content) INSTAR_CHECK(end_of_head());
    // All chunks of a full pack have the largest size that is allowed.
    const bool is_start = ordinal == directory.head_count && directory.kind == artifact::PackKind::full;
    if (is_start && folder.image_format != wire::ImageFormat::none) INSTAR_CHECK(check_format(folder, decoded));
    return content->feed(decoded);
  };
  INSTAR_CHECK(pack.verify(on_chunk));
  if (!content) INSTAR_CHECK(end_of_head());
  return content->finish();
}

}  // namespace

Result<ArtifactId> listed_artifact(const std::string& path) {
  INSTAR_TRY(const auto listing, read_listing(path));
  return listing.id;
}

Result<ArtifactFolder> open_artifact(const std::string& path) {
  const std::string listing_path = listing_of(path);
  INSTAR_TRY(auto listing, read_listing(path));
  ArtifactFolder folder{.path = path,
                        .id = listing.id,
                        .image_format = listing.image_format,
                        .packs = {},
                        .weights = std::move(listing.weights),
                        .origin = std::move(listing.origin)};
  const std::string index_path = path + "/" + std::string(kIndexFile);
  INSTAR_TRY(const auto index, files::read_file(index_path, limits::kIndexBytesMax));
  INSTAR_CHECK(check_index(index, index_path, folder));
  bool has_full = false;
  for (const auto& name : listing.pack_files) {
    INSTAR_TRY(auto pack, PackFile::open(path + "/" + name));
    if (pack.directory().artifact != folder.id) {
      return fail(Code::corrupt, pack.path() + " is a pack of artifact " + pack.directory().artifact.short_hex() +
                                     ", artifact.json names " + folder.id.short_hex() + ": pack the tree again");
    }
    if (pack.directory().kind == artifact::PackKind::full) {
      has_full = true;
      folder.content_bytes = decoded_body_bytes(pack.directory());
    }
    folder.packs.push_back(std::move(pack));
  }
  count_holes(folder);
  if (!has_full) return fail(Code::malformed, listing_path + " names no `full` pack, which every release needs");
  return folder;
}

void count_holes(ArtifactFolder& folder) {
  artifact::ZeroChunks zeros;
  for (const auto& pack : folder.packs) {
    const auto& directory = pack.directory();
    std::uint64_t bytes = 0;
    if (directory.kind == artifact::PackKind::delta) continue;
    for (std::size_t i = directory.head_count; i < directory.chunks.size(); ++i)
      bytes += zeros.contains(directory.chunks[i]) ? directory.chunks[i].decoded_bytes : 0;
    folder.hole_bytes = std::max(folder.hole_bytes, bytes);
  }
}

const PackFile& full_pack(const ArtifactFolder& folder) {
  const auto found = std::ranges::find(folder.packs, artifact::PackKind::full,
                                       [](const PackFile& pack) { return pack.directory().kind; });
  INSTAR_ASSERT(found != folder.packs.end());
  return *found;
}

Status verify_delta(const PackFile& pack, const ReadableTree* base) {
  if (base == nullptr || base->id != pack.directory().base) return pack.verify({});
  INSTAR_TRY([[maybe_unused]] const auto entries, rebuild_delta(pack, *base, nullptr, {}));
  return {};
}

Status verify_artifact(const ArtifactFolder& folder, const ReadableTree* base) {
  for (const auto& pack : folder.packs) {
    const bool is_delta = pack.directory().kind == artifact::PackKind::delta;
    auto status = is_delta ? verify_delta(pack, base) : verify_pack(pack, folder);
    if (!status) return fail(with_context(status.error(), pack.path()));
  }
  return {};
}

wire::Artifact manifest_artifact(const ArtifactFolder& folder) {
  wire::Artifact artifact;
  artifact.id = folder.id;
  artifact.image_format = folder.image_format;
  if (folder.image_format != wire::ImageFormat::none) artifact.kind = wire::ArtifactKind::image;
  artifact.content_bytes = folder.content_bytes;
  artifact.hole_bytes = folder.hole_bytes;
  artifact.entry_count = folder.entry_count;
  artifact.index_bytes = folder.index_bytes;
  for (const auto& file : folder.packs) {
    const auto& directory = file.directory();
    wire::Pack pack;
    pack.kind = directory.kind;
    pack.id = file.id();
    pack.base = directory.base;
    pack.head.assign(directory.chunks.begin(), directory.chunks.begin() + directory.head_count);
    pack.body_count = static_cast<std::uint32_t>(directory.chunks.size() - directory.head_count);
    pack.head_bytes = directory.head_bytes();
    pack.body_bytes = directory.body_bytes();
    pack.memory_bytes = file.memory_bytes();
    pack.format = format_of(file);
    pack.framing_bytes = framing_bytes(directory);
    artifact.packs.push_back(std::move(pack));
  }
  return artifact;
}

Status write_listing(const ArtifactFolder& folder) {
  const std::string listing = dump(artifact_json(folder), 2) + "\n";
  return files::write_file_atomic(listing_of(folder.path), as_bytes(listing));
}

Json artifact_json(const ArtifactFolder& folder) {
  Json packs = Json::array();
  for (const auto& file : folder.packs) {
    const auto& directory = file.directory();
    const std::string kind(artifact::pack_kind_name(directory.kind));
    Json row{{"kind", kind}, {"file", base_name(file.path())}};
    if (!directory.base.is_zero()) row["base"] = directory.base.hex();
    row.update({{"id", file.id().hex()},
                {"head_chunks", directory.head_count},
                {"body_chunks", directory.chunks.size() - directory.head_count},
                {"head_bytes", directory.head_bytes()},
                {"body_bytes", directory.body_bytes()},
                {"wire_bytes", file.wire_bytes()},
                {"framing_bytes", framing_bytes(directory)},
                {"memory_bytes", file.memory_bytes()}});
    packs.push_back(std::move(row));
  }
  Json out{{"format", kFormat},
           {"artifact", folder.id.hex()},
           {"kind", folder.image_format == wire::ImageFormat::none ? "tree" : "image"},
           {"content_bytes", folder.content_bytes},
           {"hole_bytes", folder.hole_bytes},
           {"entry_count", folder.entry_count},
           {"index_bytes", folder.index_bytes},
           {"packs", std::move(packs)}};
  if (folder.image_format != wire::ImageFormat::none)
    out["image_format"] = std::string(wire::image_format_name(folder.image_format));
  if (folder.origin) out["origin"] = origin_json(*folder.origin);
  for (const auto& weight : folder.weights) {
    out["bases"].push_back({{"base", weight.base.hex()},
                            {"full_bytes", weight.full_bytes},
                            {"dedupe_bytes", weight.dedupe_bytes ? Json(*weight.dedupe_bytes) : Json()},
                            {"delta_bytes", weight.delta_bytes ? Json(*weight.delta_bytes) : Json()}});
  }
  return out;
}

std::string artifact_text(const ArtifactFolder& folder) {
  Fields fields;
  fields.add("artifact", folder.id.hex());
  fields.add("folder", folder.path);
  const bool is_tree = folder.image_format == wire::ImageFormat::none;
  fields.add("content", human_bytes(folder.content_bytes) +
                            (is_tree ? " in " + std::to_string(folder.entry_count) + " entries"
                                     : ", an image: " + std::string(wire::image_format_name(folder.image_format))));
  if (folder.origin)
    for (const auto& [name, value] : origin_fields(*folder.origin)) fields.add(name, value);
  Table table;
  table.column("PACK");
  table.column("BASE");
  table.column("CHUNKS", Align::right);
  table.column("HEAD BYTES", Align::right);
  table.column("BODY BYTES", Align::right);
  table.column("BYTES TO FETCH", Align::right);
  table.column("OF CONTENT", Align::right);
  table.column("MQTT FRAMING", Align::right);
  table.column("MEMORY", Align::right);
  for (const auto& pack : folder.packs) {
    const auto& directory = pack.directory();
    const std::string share =
        folder.content_bytes == 0
            ? "-"
            : std::to_string((pack.wire_bytes() * 100 + folder.content_bytes / 2) / folder.content_bytes) + "%";
    // Holes are not fetched, and of a dedupe pack only what the device lacks.
    const bool partly = directory.kind == artifact::PackKind::dedupe ||
                        (directory.kind == artifact::PackKind::full && folder.hole_bytes > 0);
    table.row({std::string(artifact::pack_kind_name(directory.kind)),
               directory.base.is_zero() ? "-" : directory.base.short_hex(), std::to_string(directory.chunks.size()),
               std::to_string(directory.head_bytes()), std::to_string(directory.body_bytes()),
               (partly ? "<= " : "") + std::to_string(pack.wire_bytes()), share,
               std::to_string(framing_bytes(directory)), std::to_string(pack.memory_bytes())});
  }
  return fields.str() + "\n" + table.str();
}

}  // namespace instar::publisher

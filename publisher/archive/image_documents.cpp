#include "publisher/archive/image_documents.hpp"

#include <algorithm>
#include <utility>

#include "core/base/limits.hpp"
#include "publisher/archive/merged_tree.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

constexpr const char* kReferenceType = "vnd.docker.reference.type";
constexpr std::string_view kJsonEnd = ".json";

Result<Json> read_document(const ImageFiles& files, const std::string& name, const Bytes& bytes) {
  return parse_json(as_text(bytes), files.shown(name));
}

std::string text_in(const Json& object, std::string_view key) {
  return object.is_object() ? get_text(object, key) : std::string();
}

// An array of objects under `key`; an absent one is empty.
Result<const Json*> array_in(const Json& object, std::string_view key, const std::string& where, std::size_t most) {
  static const Json kNone = Json::array();
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return &kNone;
  if (!found->is_array()) return fail(Code::malformed, where + ": " + std::string(key) + " must be an array");
  if (found->size() > most) {
    return fail(Code::too_large, where + ": " + std::string(key) + " has " + std::to_string(found->size()) +
                                     " entries, at most " + std::to_string(most) + " are taken");
  }
  return &*found;
}

// Where the blobs are: below blobs/ by algorithm, or beside manifest.json by the digits alone.
std::string blob_name(ImageArchiveKind kind, const BlobDigest& digest) {
  return kind == ImageArchiveKind::folder ? digest.hex : "blobs/" + std::string(digest.algorithm()) + "/" + digest.hex;
}

Result<Blob> descriptor(const Json& json, ImageArchiveKind kind, const std::string& where) {
  INSTAR_TRY(auto object, JsonObject::of(json, where));
  Blob blob;
  INSTAR_TRY(const auto digest, object.text("digest"));
  auto parsed = parse_blob_digest(digest);
  if (!parsed) return fail(with_context(parsed.error(), where));
  blob.digest = std::move(*parsed);
  INSTAR_TRY(blob.size, object.number_or("size", 0, limits::kArchiveFilesBytesMax));
  INSTAR_TRY(blob.media_type, object.text_or("mediaType", ""));
  blob.name = blob_name(kind, blob.digest);
  return blob;
}

ImagePlatform platform_in(const Json& object) {
  return {text_in(object, "os"), text_in(object, "architecture"), text_in(object, "variant")};
}

void add_name(std::vector<std::string>& names, std::string name) {
  if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
}

// What a descriptor in index.json is called: by podman and skopeo in full, by Docker the tag alone beside the whole.
void add_annotated_names(const Json& entry, std::vector<std::string>& names) {
  const Json& annotations = get(entry, "annotations");
  const auto whole = text_in(annotations, "io.containerd.image.name");
  const auto reference = text_in(annotations, "org.opencontainers.image.ref.name");
  add_name(names, whole);
  if (whole.empty() || !whole.ends_with(":" + reference)) add_name(names, reference);
}

bool is_index(const Json& document) {
  return document.contains("manifests") && !document.contains("layers");
}

class IndexWalk {
 public:
  IndexWalk(const ImageFiles& files, std::vector<ImageCandidate>& found) : files_(files), found_(found) {}

  Status walk(const Json& index, const std::string& where, const ImageCandidate& above, std::size_t depth) {
    if (depth > limits::kImageIndexDepthMax)
      return fail(Code::too_large, where + ": indexes lie more than " + std::to_string(limits::kImageIndexDepthMax) +
                                       " deep in each other");
    if (!index.is_object()) return fail(Code::malformed, where + " must be an object");
    INSTAR_TRY(const Json* manifests, array_in(index, "manifests", where, limits::kImagesMax));
    for (const Json& each : *manifests) INSTAR_CHECK(take(each, where, above, depth));
    return {};
  }

 private:
  Status take(const Json& entry, const std::string& where, const ImageCandidate& above, std::size_t depth) {
    INSTAR_TRY(Blob blob, descriptor(entry, ImageArchiveKind::oci, where + ": manifests"));
    const Json& annotations = get(entry, "annotations");
    const auto platform = platform_in(get(entry, "platform"));
    // Statements on an image (provenance, list of contents) are no image.
    if (!text_in(annotations, kReferenceType).empty() || platform.os == "unknown") return {};
    ImageCandidate next = above;
    add_annotated_names(entry, next.names);
    // An archive of one platform may name the others too.
    if (depth > 0 && !files_.has(blob.name)) return {};
    INSTAR_TRY(const auto bytes, read_blob(files_, blob));
    INSTAR_TRY(const auto document, read_document(files_, blob.name, bytes));
    if (!document.is_object()) return fail(Code::malformed, files_.shown(blob.name) + " must be an object");
    if (is_index(document)) {
      next.indexes.push_back(blob.digest);
      return walk(document, files_.shown(blob.name), next, depth + 1);
    }
    const auto known = std::ranges::find_if(
        found_, [&](const ImageCandidate& each) { return each.manifest && each.manifest->digest == blob.digest; });
    if (known != found_.end()) {
      for (auto& name : next.names) add_name(known->names, std::move(name));
      return {};
    }
    if (found_.size() == limits::kImagesMax)
      return fail(Code::too_large, where + ": more than " + std::to_string(limits::kImagesMax) + " images");
    next.manifest = std::move(blob);
    next.platform = platform;
    found_.push_back(std::move(next));
    return {};
  }

  const ImageFiles& files_;
  std::vector<ImageCandidate>& found_;
};

Result<std::vector<ImageCandidate>> of_docker_save(const Json& list, const std::string& where) {
  if (list.size() > limits::kImagesMax)
    return fail(Code::too_large, where + ": more than " + std::to_string(limits::kImagesMax) + " images");
  std::vector<ImageCandidate> found;
  for (std::size_t i = 0; i < list.size(); ++i) {
    INSTAR_TRY(auto object, JsonObject::of(list[i], where + ": image " + std::to_string(i + 1)));
    ImageCandidate image;
    INSTAR_TRY(const auto config, object.text("Config"));
    INSTAR_TRY(image.config_name, tree_path(config));
    INSTAR_TRY(image.names, object.texts("RepoTags"));
    INSTAR_TRY(const auto layers, object.texts("Layers"));
    if (layers.size() > limits::kImageLayersMax)
      return fail(Code::too_large, where + ": an image of " + std::to_string(layers.size()) + " layers");
    for (const auto& layer : layers) {
      INSTAR_TRY(auto name, tree_path(layer));
      image.layer_names.push_back(std::move(name));
    }
    found.push_back(std::move(image));
  }
  return found;
}

Status check_layer_type(const Blob& blob, const std::string& where) {
  const std::string& type = blob.media_type;
  if (type.ends_with("+encrypted"))
    return fail(Code::unsupported, where + " is encrypted: give the image as it is without encryption");
  const bool is_layer = type.empty() || type.starts_with("application/vnd.oci.image.layer.") ||
                        type.starts_with("application/vnd.docker.image.rootfs.");
  if (is_layer) return {};
  return fail(Code::unsupported, where + " is of the type " + shown_name(type) +
                                     ", no layer of a file system: this is no image of a container");
}

Status check_config_type(const Blob& blob, const std::string& where) {
  const std::string& type = blob.media_type;
  if (type.empty() || type == "application/vnd.oci.image.config.v1+json" ||
      type == "application/vnd.docker.container.image.v1+json")
    return {};
  return fail(Code::unsupported,
              where + " has a config of the type " + shown_name(type) + ": this is no image of a container");
}

}  // namespace

std::string ImagePlatform::str() const {
  const std::string text = (os.empty() ? "?" : os) + "/" + (architecture.empty() ? "?" : architecture);
  return variant.empty() ? text : text + "/" + variant;
}

std::string_view image_archive_kind_name(ImageArchiveKind kind) noexcept {
  switch (kind) {
    case ImageArchiveKind::oci: return "oci";
    case ImageArchiveKind::docker: return "docker-archive";
    case ImageArchiveKind::folder: return "docker-dir";
  }
  return "oci";
}

Result<ImageCandidates> find_images(const ImageFiles& files) {
  ImageCandidates found;
  if (files.has("index.json")) {
    INSTAR_TRY(const auto bytes, files.read("index.json"));
    INSTAR_TRY(const auto document, read_document(files, "index.json", bytes));
    ImageCandidate above;
    above.indexes.push_back(blob_digest(DigestKind::sha256, bytes));
    INSTAR_CHECK(IndexWalk(files, found.list).walk(document, files.shown("index.json"), above, 0));
    return found;
  }
  INSTAR_TRY(const auto bytes, files.read("manifest.json"));
  INSTAR_TRY(const auto document, read_document(files, "manifest.json", bytes));
  if (document.is_array()) {
    found.kind = ImageArchiveKind::docker;
    INSTAR_TRY(found.list, of_docker_save(document, files.shown("manifest.json")));
    return found;
  }
  found.kind = ImageArchiveKind::folder;
  if (!document.is_object() || is_index(document)) {
    return fail(Code::unsupported,
                files.shown("manifest.json") +
                    " is an index of several images, which a folder of this kind does not hold: make "
                    "an OCI layout (skopeo copy --all … oci:FOLDER)");
  }
  ImageCandidate image;
  image.manifest =
      Blob{blob_digest(DigestKind::sha256, bytes), bytes.size(), text_in(document, "mediaType"), "manifest.json"};
  found.list.push_back(std::move(image));
  return found;
}

Result<ImageManifest> read_manifest(const ImageFiles& files, ImageArchiveKind kind, const ImageCandidate& image) {
  ImageManifest out;
  if (!image.manifest) {
    out.config_name = image.config_name;
    for (const auto& name : image.layer_names) out.layers.push_back({name, std::nullopt, std::nullopt});
    return out;
  }
  out.manifest = image.manifest;
  const std::string where = files.shown(image.manifest->name);
  INSTAR_TRY(const auto bytes, read_blob(files, *image.manifest));
  INSTAR_TRY(const auto document, parse_json(as_text(bytes), where));
  if (!document.is_object()) return fail(Code::malformed, where + " must be an object");
  if (document.contains("fsLayers")) {
    return fail(Code::unsupported,
                where + " is of version 1, which Docker gave up in 2017: save the image again with docker or skopeo");
  }
  const auto config = document.find("config");
  if (config == document.end()) return fail(Code::malformed, where + " has no config");
  INSTAR_TRY(out.config_blob, descriptor(*config, kind, where + ": config"));
  INSTAR_CHECK(check_config_type(*out.config_blob, where));
  out.config_name = out.config_blob->name;
  INSTAR_TRY(const Json* layers, array_in(document, "layers", where, limits::kImageLayersMax));
  for (const Json& each : *layers) {
    const std::string place = where + ": layer " + std::to_string(out.layers.size() + 1);
    INSTAR_TRY(auto blob, descriptor(each, kind, place));
    INSTAR_CHECK(check_layer_type(blob, place));
    const std::string name = blob.name;
    out.layers.push_back({name, std::move(blob), std::nullopt});
  }
  return out;
}

Result<ImageConfig> read_config(const ImageFiles& files, ImageManifest& manifest) {
  ImageConfig config;
  const std::string where = files.shown(manifest.config_name);
  Bytes bytes;
  if (manifest.config_blob) {
    INSTAR_TRY(bytes, read_blob(files, *manifest.config_blob));
    config.digest = manifest.config_blob->digest;
  } else {
    INSTAR_TRY(bytes, files.read(manifest.config_name));
    config.digest = blob_digest(DigestKind::sha256, bytes);
    // docker save names it by its digest.
    const std::string stem = manifest.config_name.substr(0, manifest.config_name.rfind(kJsonEnd));
    if (const auto digits = stem.substr(stem.rfind('/') + 1); is_sha256_hex(digits) && digits != config.digest.hex)
      return fail(Code::corrupt, where + " has the digest " + config.digest.str() + ": get the image again");
  }
  INSTAR_TRY(config.document, parse_json(as_text(bytes), where));
  if (!config.document.is_object()) return fail(Code::malformed, where + " must be an object");
  config.platform = platform_in(config.document);
  config.created = text_in(config.document, "created");
  const Json& rootfs = get(config.document, "rootfs");
  INSTAR_TRY(const Json* contents, array_in(rootfs, "diff_ids", where, limits::kImageLayersMax));
  if (contents->size() != manifest.layers.size()) {
    return fail(Code::malformed, where + " names " + std::to_string(contents->size()) + " layers, the image has " +
                                     std::to_string(manifest.layers.size()));
  }
  for (std::size_t i = 0; i < contents->size(); ++i) {
    auto digest = parse_blob_digest((*contents)[i].is_string() ? (*contents)[i].get<std::string>() : "");
    if (!digest) return fail(with_context(digest.error(), where + ": diff_ids"));
    manifest.layers[i].contents = std::move(*digest);
  }
  return config;
}

}  // namespace instar::publisher

// The JSON documents of container images: what an archive holds, and what an image consists of.
// https://github.com/opencontainers/image-spec (1.1), and the archives of `docker save`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "publisher/archive/image_files.hpp"
#include "publisher/console/console.hpp"

namespace instar::publisher {

// As images name them: "linux", "arm64", "v8".
struct ImagePlatform {
  std::string os;
  std::string architecture;
  std::string variant;
  [[nodiscard]] std::string str() const;  // "linux/arm64/v8"
};

// A layer: its file, and what is known of it before it is read.
struct ImageLayer {
  std::string name;                    // of the file
  std::optional<Blob> blob;            // as it stands in the file; archives of docker save do not say it
  std::optional<BlobDigest> contents;  // unpacked
};

// One image of one platform, among those that an archive or folder holds.
struct ImageCandidate {
  std::vector<std::string> names;        // references, such as web:2.4.1
  std::vector<BlobDigest> indexes;       // that it was found in
  std::optional<Blob> manifest;          // none in archives of docker save
  std::string config_name;               // its file; with `manifest`: known once that was read
  std::vector<std::string> layer_names;  // the same
  ImagePlatform platform;                // empty where nothing says it but the config
};

enum class ImageArchiveKind : std::uint8_t { oci, docker, folder };  // folder: what skopeo calls dir
[[nodiscard]] std::string_view image_archive_kind_name(ImageArchiveKind kind) noexcept;

struct ImageCandidates {
  ImageArchiveKind kind = ImageArchiveKind::oci;
  std::vector<ImageCandidate> list;
};

// All images that there are, of every platform. Errors: malformed, too_large, corrupt, not_found, unsupported; they
// name the file.
[[nodiscard]] Result<ImageCandidates> find_images(const ImageFiles& files);

// The manifest of an image, or what stands in for it.
struct ImageManifest {
  std::optional<Blob> manifest;
  std::optional<Blob> config_blob;  // none in archives of docker save
  std::string config_name;
  std::vector<ImageLayer> layers;
};
// Reads and checks it. Errors: as above.
[[nodiscard]] Result<ImageManifest> read_manifest(const ImageFiles& files, ImageArchiveKind kind,
                                                  const ImageCandidate& image);

// The config: the document, its digest, what unpacked layers must have. The layers of `manifest` get their `contents`.
struct ImageConfig {
  Json document;
  BlobDigest digest;
  ImagePlatform platform;
  std::string created;
};
[[nodiscard]] Result<ImageConfig> read_config(const ImageFiles& files, ImageManifest& manifest);

}  // namespace instar::publisher

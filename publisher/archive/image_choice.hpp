// Which of several images an operator means.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "publisher/archive/image_documents.hpp"

namespace instar::publisher {

struct ImageWish {
  std::string name;                        // its reference; empty: the only one
  std::vector<std::string> architectures;  // `uname -m` of the devices (aarch64), or as images say it (arm64, arm/v7,
                                           // linux/arm64/v8); empty: the only one
  std::string digest;                      // "sha256:…" that it must have; empty: any
};

// The one image that fits. The platform of each is read from its config where nothing else says it. Errors:
// invalid_argument (none fits, or several do: the message lists them), those of read_manifest and read_config.
[[nodiscard]] Result<ImageCandidate> choose_image(const ImageFiles& files, ImageCandidates images,
                                                  const ImageWish& wish);

// Of `path`, which is no container image: refuses a name and a digest. Errors: invalid_argument.
[[nodiscard]] Status check_no_image_wish(const std::string& path, const ImageWish& wish);

// Whether a machine of that name runs what is for `platform`. `is_exact`: it is its own kind, not an older one.
struct PlatformFit {
  bool runs = false;
  bool is_exact = false;
};
[[nodiscard]] PlatformFit fit_of(const ImagePlatform& platform, std::string_view architecture);

// Checks the digest that an operator expects against those of the manifest, of the indexes it was found in, and of the
// config, which is what Docker calls the image's id. Errors: refused, with all of them; malformed (no digest).
[[nodiscard]] Status check_expected(const std::string& expected, const ImageCandidate& image, const BlobDigest& config);

}  // namespace instar::publisher

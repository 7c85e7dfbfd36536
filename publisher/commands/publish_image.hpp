// `instar publish --image`: pack and publish in one command.
#pragma once

#include <string>

#include "publisher/commands/commands.hpp"
#include "publisher/release/publish_options.hpp"

namespace instar::publisher {

struct PackedImageOptions {
  ImageWish wish;
  std::string out;  // where the artifact goes; empty: beside the image
};

// --image and what belongs to it.
void add_packed_image(CLI::App& command, PackedImageOptions& options, PublishOptions& release);
// Names the artifact folder in `release`, where an image is to be packed. Errors: usage (an artifact is named as well).
[[nodiscard]] Outcome<void> settle_image(PackedImageOptions& options, PublishOptions& release);
// Packs the image, if there is one, and prints what it became. An artifact of before in its place is kept beside it,
// for deltas. Returns the folder and where its content came from; null without an image. Errors: those of
// build_artifact.
// `unchecked`: whether it looks like a root file system is not asked.
[[nodiscard]] Outcome<Json> pack_image(const PackedImageOptions& options, const PublishOptions& release, bool unchecked,
                                       const Console& console);

}  // namespace instar::publisher

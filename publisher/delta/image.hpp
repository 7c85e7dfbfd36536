// Compares two images with compressed file systems by what is in them, so that an image costs about what its tree does.
#pragma once

#include <cstdint>
#include <memory>

#include "core/delta/make/maker.hpp"
#include "publisher/delta/build.hpp"

namespace instar::publisher {

// Adds the image `now` to the streams, as a file of blocks that a device makes again from its image `old`; the file's
// base is the one of the same path. Returns false, and adds nothing, when one of them is no image that is read, or when
// its blocks do not come out the same. Errors: unavailable (stopped).
[[nodiscard]] Result<bool> add_image(ByteView old, ByteView now, const DeltaOptions& options, delta::DeltaMaker& maker);

// Whether a file that begins so may be such an image.
[[nodiscard]] bool may_be_image(ByteView start) noexcept;

}  // namespace instar::publisher

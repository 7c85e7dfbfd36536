// An image: an artifact whose index has the root folder and one file, which holds a whole file system. It is packed,
// sent, staged and verified like any tree. It is an image because the manifest says so (docs/formats/index.md).
#pragma once

#include <cstdint>
#include <string_view>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"

namespace instar::artifact {

inline constexpr std::string_view kImagePath = "image";
inline constexpr std::uint16_t kImageMode = 0644;
inline constexpr std::uint16_t kImageRootMode = 0755;
inline constexpr std::uint32_t kImageEntries = 2;  // with the root folder

// Checks that an image's index has only the root folder and the file `image`, both owned by root, with the modes above
// and without xattrs. So the same image has the same index, whoever packs it. Errors: malformed, naming the entry.
[[nodiscard]] Status check_image_entry(const Entry& entry);

}  // namespace instar::artifact

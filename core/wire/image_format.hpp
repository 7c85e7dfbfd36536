// The file systems of images, by number and by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace instar::wire {

// The file system in an image; ext4 stands for ext2 and ext3 too, which the same driver mounts. Frozen numbers.
enum class ImageFormat : std::uint8_t { none = 0, squashfs = 1, erofs = 2, ext4 = 3 };

// "unknown" for a number of a later version.
[[nodiscard]] std::string_view image_format_name(ImageFormat format) noexcept;
// nullopt for "none" and for what is no name.
[[nodiscard]] std::optional<ImageFormat> parse_image_format(std::string_view name) noexcept;

}  // namespace instar::wire

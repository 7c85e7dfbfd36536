#include "core/wire/image_format.hpp"

namespace instar::wire {

std::string_view image_format_name(ImageFormat format) noexcept {
  switch (format) {
    case ImageFormat::none: return "none";
    case ImageFormat::squashfs: return "squashfs";
    case ImageFormat::erofs: return "erofs";
    case ImageFormat::ext4: return "ext4";
  }
  return "unknown";
}

std::optional<ImageFormat> parse_image_format(std::string_view name) noexcept {
  for (const auto format : {ImageFormat::squashfs, ImageFormat::erofs, ImageFormat::ext4}) {
    if (name == image_format_name(format)) return format;
  }
  return std::nullopt;
}

}  // namespace instar::wire

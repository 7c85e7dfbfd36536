#include "core/artifact/image.hpp"

namespace instar::artifact {

Status check_image_entry(const Entry& entry) {
  const bool is_root = entry.path.empty();
  const auto type = is_root ? EntryType::directory : EntryType::file;
  const auto mode = is_root ? kImageRootMode : kImageMode;
  if ((is_root || entry.path == kImagePath) && entry.type == type && entry.mode == mode && entry.uid == 0 &&
      entry.gid == 0 && entry.xattrs.empty() && !entry.time) {
    return {};
  }
  return fail(Code::malformed,
              "the index of an image has '/" + entry.path +
                  "'; it has the root folder (0755) and the file `image` (0644), both root's and without xattrs, and "
                  "nothing else: pack the image again");
}

}  // namespace instar::artifact

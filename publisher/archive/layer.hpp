// One layer of an image, or an archive of a whole root file system, put over the tree that is there.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/limits.hpp"
#include "core/base/result.hpp"
#include "files/tree_notes.hpp"
#include "publisher/archive/byte_source.hpp"
#include "publisher/archive/merged_tree.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

// What is left of what one archive may have, all layers together.
struct ArchiveRoom {
  std::uint64_t bytes = limits::kArchiveBytesMax;  // unpacked, and of files with their holes
  std::size_t entries = limits::kArchiveEntriesMax;
};

struct LayerOptions {
  bool devices_allowed = false;
  bool keep_times = false;
  // It is a layer of an image: names that begin with .wh. take away what earlier layers have. Otherwise they are
  // refused.
  bool has_whiteouts = false;
};

// What no tree carries: said to the operator.
struct LayerNotes {
  files::TreeNotes tree;
  files::TreeNotes::Entries devices_left_out;  // in /dev, which LXC fills itself
  files::TreeNotes::Entries sockets_left_out;
  files::TreeNotes::Entries acls_by_name;
  bool is_cpio = false;  // the archive that was read last
};

// `source`: not compressed; it is read to its end. Errors name the entry: malformed, too_large, refused (a device
// outside of /dev that is not allowed, a link out of the tree), io, no_space, unavailable (stopped).
[[nodiscard]] Status apply_layer(ByteSource& source, const LayerOptions& options, ArchiveRoom& room,
                                 ContentStore& store, MergedTree& tree, LayerNotes& notes, const Work& work);

}  // namespace instar::publisher

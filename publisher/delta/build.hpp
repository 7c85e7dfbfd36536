// Makes a delta pack, with which a device that has one tree makes another.
#pragma once

#include <cstdint>
#include <string>

#include "core/artifact/pack.hpp"
#include "core/base/limits.hpp"
#include "core/base/result.hpp"
#include "publisher/artifact/pack_file.hpp"
#include "publisher/artifact/readable_tree.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

struct DeltaOptions {
  // Threads that compare files. 0: one for each processor.
  unsigned jobs = 0;
  // The level of zstd, for the head.
  int level = 19;
  // Memory for the files that are being compared. A file that needs more is compared alone.
  std::uint64_t match_bytes_max = limits::kDeltaMatchBytesMax;
  Work work;
};

// Compares each file whose content the base does not have with the base's file of the same path. If there is none, or
// if it is very different, the files that are most like it in content or name are used. Images with a compressed file
// system are compared by what is in them, if they can be (image.hpp). Passes on the chunks, body
// first, and returns the directory. The same trees give the same bytes with any number of threads (and with the same
// releases of zstd and liblzma). Errors: those of make_index_delta and DeltaMaker, corrupt (a tree changed meanwhile),
// too_large, io; unavailable (stopped).
[[nodiscard]] Result<artifact::PackDirectory> make_delta_pack(const ReadableTree& base, const ReadableTree& fresh,
                                                              artifact::PackSink& sink, const DeltaOptions& options);

// The name of the delta against `base` in an artifact folder.
[[nodiscard]] std::string delta_file_name(const ArtifactId& base);
// Writes the delta to the file of that name in `folder`. After an error there is no such file.
[[nodiscard]] Result<PackFile> write_delta_pack(const ReadableTree& base, const ReadableTree& fresh,
                                                const std::string& folder, const DeltaOptions& options);

}  // namespace instar::publisher

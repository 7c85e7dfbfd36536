// Makes a delta pack: what a device that has one tree needs to make another.
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
  // Threads that compare files; 0: one for each processor.
  unsigned jobs = 0;
  // zstd, for the head.
  int level = 19;
  // Memory of the files under way; one that needs more is compared alone.
  std::uint64_t match_bytes_max = limits::kDeltaMatchBytesMax;
  Work work;
};

// Compares each file whose content the base has not with the file that stood in its place, and where there is none, or
// it is very unlike, with those that are most like it in content or name. Hands over the chunks, body first, and
// returns the directory. Same trees, same bytes, whatever the number of threads (with the same releases of zstd and
// liblzma). Errors: those of make_index_delta and DeltaMaker, corrupt (a tree changed meanwhile), too_large, io;
// unavailable (stopped).
[[nodiscard]] Result<artifact::PackDirectory> make_delta_pack(const ReadableTree& base, const ReadableTree& fresh,
                                                              artifact::PackSink& sink, const DeltaOptions& options);

// The name of the delta against `base` in an artifact folder.
[[nodiscard]] std::string delta_file_name(const ArtifactId& base);
// The same into the file of that name in `folder`. Nothing is left of it on an error.
[[nodiscard]] Result<PackFile> write_delta_pack(const ReadableTree& base, const ReadableTree& fresh,
                                                const std::string& folder, const DeltaOptions& options);

}  // namespace instar::publisher

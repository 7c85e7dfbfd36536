// Plans how a device makes an image again, block by block, from the image before it: which blocks it copies as they
// are, which contents come from where unchanged, and which are to be compared. docs/formats/blocks.md
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/delta/block_control.hpp"
#include "core/delta/make/image_map.hpp"

namespace instar::delta {

// A part of the new image, in its order.
struct PlannedPart {
  std::string path;            // of the file that it is of
  std::vector<ImageRun> runs;  // of the new image: its content
  std::vector<BlockStep> steps;
  std::uint8_t spec = 0;
  // All content is this of the base, as it unpacks. Otherwise it is to be compared with a file of the base.
  bool is_exact = false;
  std::vector<BlockExtent> extents;
  std::uint64_t content_bytes = 0;
};

struct ImagePlan {
  BlockHead head;
  std::vector<PlannedPart> parts;
  // Where the contents of the base's files are in it, as it unpacks; by the number of the file in its map.
  std::vector<std::vector<BlockExtent>> old_files;
  std::uint64_t unlike_bytes = 0;  // of changed blocks that come out otherwise: they travel as they are
};

// Runs `count` tasks, on as many threads as it likes, and returns when all are done.
using RunTasks = std::function<void(std::size_t count, const std::function<void(std::size_t task)>& run)>;

// `now` is changed: blocks that do not come out the same, with the encoder that devices run, become plain ones in it.
// nullopt when the maps do not go together, or when too many blocks do not come out (kImageUnlikePercentMax).
[[nodiscard]] std::optional<ImagePlan> plan_image(ByteView old_image, const ImageMap& old, ByteView now_image,
                                                  ImageMap& now, const RunTasks& run_tasks);

}  // namespace instar::delta

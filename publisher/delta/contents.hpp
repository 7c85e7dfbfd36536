// Files whose contents can be read, for comparisons: those of a tree, or those inside an image.
#pragma once

#include <cstdint>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "publisher/artifact/readable_tree.hpp"

namespace instar::publisher {

// Any thread may call.
class Contents {
 public:
  virtual ~Contents() = default;
  [[nodiscard]] virtual const std::vector<artifact::Entry>& entries() const = 0;
  // The whole content of one of the files. Errors: io, corrupt (it is not what it was).
  [[nodiscard]] virtual Result<Bytes> read(const artifact::Entry& file) const = 0;
  // Bytes that a comparison of the file works on. For a gzip file its content counts too, with the size that its
  // trailer gives; for an archive, a usual share of what is in it.
  [[nodiscard]] virtual std::uint64_t bytes_inside(const artifact::Entry& file) const { return file.size; }
};

class TreeContents final : public Contents {
 public:
  // `tree` must outlive this object.
  explicit TreeContents(const ReadableTree& tree) : tree_(tree) {}
  [[nodiscard]] const std::vector<artifact::Entry>& entries() const override { return tree_.entries; }
  [[nodiscard]] Result<Bytes> read(const artifact::Entry& file) const override;
  [[nodiscard]] std::uint64_t bytes_inside(const artifact::Entry& file) const override;

 private:
  const ReadableTree& tree_;
};

}  // namespace instar::publisher

// Reads a stream of items from pieces of any size. Keeps the bytes of an item that is not yet complete.
#pragma once

#include <cstddef>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::artifact {

class ItemBuffer {
 public:
  // Calls `read_one` with all bytes that have come, once for each item. It returns how many bytes the first item there
  // takes, or 0 while that item is not complete. Its errors are returned; then the stream must not be used any more.
  template <typename ReadOne>
  [[nodiscard]] Status feed(ByteView piece, ReadOne&& read_one) {
    bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    std::size_t done = 0;
    while (done < bytes_.size()) {
      INSTAR_TRY(const std::size_t used, read_one(ByteView(bytes_).subspan(done)));
      if (used == 0) break;
      done += used;
    }
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(done));
    return {};
  }
  // Whether nothing is left over, so that the last item has ended.
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

 private:
  Bytes bytes_;
};

}  // namespace instar::artifact

// Reads a stream of items whose pieces end anywhere: keeps what is no whole item yet.
#pragma once

#include <cstddef>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::artifact {

class ItemBuffer {
 public:
  // Gives `read_one` all that has come, item by item. It answers how many bytes the first item there takes, 0 while
  // that item is not whole. Its errors are returned; the stream is of no use then.
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
  // Nothing is left over: the last item has ended.
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

 private:
  Bytes bytes_;
};

}  // namespace instar::artifact

// Internal to publisher/web: the two sides of one page's connection, and the bytes between them. It knows the library's
// handles by name only.
#pragma once

#include <algorithm>
#include <cstddef>

#include "core/base/bytes.hpp"
#include "core/base/limits.hpp"

struct lws;

namespace instar::publisher {

// Bytes on their way to one side. While many wait, the other side is not read.
class Pipe {
 public:
  void add(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  [[nodiscard]] ByteView front(std::size_t bytes_max) const noexcept {
    return ByteView(bytes_).first(std::min(bytes_max, bytes_.size()));
  }
  void drop(std::size_t count) { bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(count)); }
  [[nodiscard]] bool is_empty() const noexcept { return bytes_.empty(); }
  // Whether the source must wait now, until half of the bytes are gone; asked after each change.
  [[nodiscard]] bool is_full() noexcept {
    if (bytes_.size() >= limits::kPageWaitingBytesMax) full_ = true;
    if (bytes_.size() <= limits::kPageWaitingBytesMax / 2) full_ = false;
    return full_;
  }

 private:
  Bytes bytes_;
  bool full_ = false;
};

struct Side {
  lws* link = nullptr;     // nullptr: gone
  Pipe waiting;            // for it
  bool is_paused = false;  // it is not read, as the other side takes no more
};

struct Channel {
  Side browser;
  Side broker;
  [[nodiscard]] Side& other(const Side& side) noexcept { return &side == &browser ? broker : browser; }
  [[nodiscard]] bool is_over() const noexcept { return browser.link == nullptr && broker.link == nullptr; }
};

}  // namespace instar::publisher

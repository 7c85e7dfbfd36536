// Keeps the values used last, within a bound of bytes; the newest always stays.
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

namespace instar::broker {

template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // nullptr: not there. The pointer holds until the next put or clear.
  [[nodiscard]] const Value* get(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->value;
  }

  void put(const Key& key, Value value, std::size_t bytes) {
    if (const auto found = index_.find(key); found != index_.end()) {
      bytes_ -= found->second->bytes;
      order_.erase(found->second);
      index_.erase(found);
    }
    order_.push_front({key, std::move(value), bytes});
    index_.emplace(key, order_.begin());
    bytes_ += bytes;
    while (bytes_ > bytes_max_ && order_.size() > 1) {
      bytes_ -= order_.back().bytes;
      index_.erase(order_.back().key);
      order_.pop_back();
    }
  }

  void clear() {
    order_.clear();
    index_.clear();
    bytes_ = 0;
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }

 private:
  struct Entry {
    Key key;
    Value value;
    std::size_t bytes = 0;
  };
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::list<Entry> order_;
  std::unordered_map<Key, typename std::list<Entry>::iterator> index_;
};

}  // namespace instar::broker

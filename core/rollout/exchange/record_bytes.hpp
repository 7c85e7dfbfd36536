// Numbers, texts and lists as the bytes of a store record. For record.cpp alone. docs/formats/store.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/bytes.hpp"
#include "core/base/hash.hpp"
#include "core/base/limits.hpp"
#include "core/base/time.hpp"

namespace instar::rollout {

// Of all records. Others are not read: none has been released.
inline constexpr std::uint8_t kRecordVersion = 5;

class RecordWriter {
 public:
  RecordWriter() { u8(kRecordVersion); }
  void u8(std::uint8_t value) { out_.push_back(value); }
  void u32(std::uint32_t value) { integer(value, 4); }
  void u64(std::uint64_t value) { integer(value, 8); }
  void time(WallMs value) { u64(static_cast<std::uint64_t>(value.value)); }
  void text(std::string_view value) {
    u32(static_cast<std::uint32_t>(value.size()));
    raw(as_bytes(value));
  }
  void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  template <typename List, typename Each>
  void list(const List& values, Each each) {
    INSTAR_ASSERT(values.size() <= limits::kRecordListMax);
    u32(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) each(value);
  }
  [[nodiscard]] Bytes take() { return std::move(out_); }

 private:
  void integer(std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  Bytes out_;
};

// Past the end, or past a bound, everything reads as zero and ok() turns false.
class RecordReader {
 public:
  explicit RecordReader(ByteView bytes) : left_(bytes), version_(u8()) {}
  [[nodiscard]] std::uint8_t version() const { return version_; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool ended() const { return ok_ && left_.empty(); }
  void spoil() { ok_ = false; }

  std::uint8_t u8() { return static_cast<std::uint8_t>(integer(1)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(integer(4)); }
  std::uint64_t u64() { return integer(8); }
  WallMs time() { return {static_cast<std::int64_t>(u64())}; }
  std::string text() { return std::string(as_text(raw(u32()))); }
  ByteView raw(std::size_t size) {
    if (size > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    const auto out = left_.first(size);
    left_ = left_.subspan(size);
    return out;
  }
  bool flag() {
    const auto value = u8();
    if (value > 1) ok_ = false;
    return value == 1;
  }
  template <typename Enum>
  Enum enumeration(Enum last) {
    const auto value = u8();
    if (value > static_cast<std::uint8_t>(last)) ok_ = false;
    return ok_ ? static_cast<Enum>(value) : Enum{};
  }
  Hash256 hash() {
    const auto bytes = Hash256::from_bytes(raw(32));
    return bytes.value_or(Hash256{});
  }
  template <typename Each>
  void list(Each each) {
    const auto count = u32();
    if (count > limits::kRecordListMax) ok_ = false;
    for (std::uint32_t i = 0; ok_ && i < count; ++i) each();
  }

 private:
  std::uint64_t integer(std::size_t size) {
    const auto bytes = raw(size);
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
    return value;
  }
  ByteView left_;
  bool ok_ = true;
  std::uint8_t version_;
};

}  // namespace instar::rollout

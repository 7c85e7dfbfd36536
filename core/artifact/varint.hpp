// Unsigned LEB128 numbers, and a cursor over bytes that may not all have arrived yet. The streamed formats use both.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::artifact {

void append_varint(Bytes& out, std::uint64_t value);
void append_text(Bytes& out, std::string_view text);  // varint length, then the bytes

// Reads fields one after the other. Once the bytes end or do not follow the grammar, every later read returns zero and
// the cursor stays. So a caller reads a whole record and checks the outcome once.
class ByteCursor {
 public:
  explicit ByteCursor(ByteView bytes) noexcept : bytes_(bytes) {}

  [[nodiscard]] std::uint8_t byte() noexcept;
  // Refuses what is not the shortest form, so that a number has one encoding, and values above `value_max`.
  [[nodiscard]] std::uint64_t varint(std::uint64_t value_max, const char* what);
  [[nodiscard]] ByteView take(std::size_t count) noexcept;
  // varint length up to `bytes_max`, then as many bytes.
  [[nodiscard]] ByteView text(std::size_t bytes_max, const char* what);
  void break_off(Code code, std::string message);

  // Whether nothing is wrong so far, but the record goes on past the bytes that have arrived.
  [[nodiscard]] bool starved() const noexcept { return starved_ && error_.code == Code::ok; }
  [[nodiscard]] bool broken() const noexcept { return error_.code != Code::ok; }
  [[nodiscard]] const Error& error() const noexcept { return error_; }
  [[nodiscard]] std::size_t position() const noexcept { return position_; }

 private:
  ByteView bytes_;
  std::size_t position_ = 0;
  bool starved_ = false;
  Error error_{Code::ok, {}};
};

}  // namespace instar::artifact

// FlatBuffers within limits.hpp. Only for .cpp files and for headers marked as internal, so that our other headers do
// not include FlatBuffers.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/limits.hpp"
#include "core/base/result.hpp"

namespace instar::flat {

// A verified message. FlatBuffers reads integers in place, so the bytes are copied to where they are aligned.
template <typename Table>
class Message {
 public:
  explicit Message(ByteView bytes) : words_((bytes.size() + 7) / 8), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(words_.data(), bytes.data(), bytes.size());
  }
  [[nodiscard]] const std::uint8_t* data() const noexcept {
    return reinterpret_cast<const std::uint8_t*>(words_.data());
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] const Table* operator->() const noexcept { return flatbuffers::GetRoot<Table>(data()); }
  [[nodiscard]] const Table& operator*() const noexcept { return *flatbuffers::GetRoot<Table>(data()); }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_;
};

// Checks size, file identifier and, by the Verifier, that every offset stays inside. `what` begins each error: "gate".
template <typename Table>
[[nodiscard]] Result<Message<Table>> open(ByteView bytes, std::string_view what, const char* identifier,
                                          std::size_t bytes_max = limits::kMessageBytesMax) {
  const std::string name(what);
  if (bytes.size() > bytes_max) {
    return fail(Code::too_large,
                name + ": " + std::to_string(bytes.size()) + " bytes, the most is " + std::to_string(bytes_max));
  }
  if (bytes.size() < 8 || std::memcmp(bytes.data() + 4, identifier, 4) != 0) {
    return fail(Code::malformed, name + ": the file identifier " + identifier + " is missing");
  }
  Message<Table> message(bytes);
  flatbuffers::Verifier verifier(message.data(), message.size(), limits::kMessageTableDepthMax,
                                 limits::kMessageTablesMax);
  if (!verifier.VerifyBuffer<Table>(identifier)) {
    return fail(Code::malformed,
                name + ": damaged or cut off (an offset points outside of it, or there are too many tables)");
  }
  return message;
}

[[nodiscard]] inline std::string_view view(const flatbuffers::String* text) noexcept {
  return text == nullptr ? std::string_view{} : std::string_view(text->c_str(), text->size());
}

// The numbers of a vector (absent: none). They must be read with this only: the Verifier (of FlatBuffers 2.0.8) checks
// where a vector's length is, but not that its 8-byte elements are aligned, and Get() would read them in place.
template <typename Number>
[[nodiscard]] std::vector<Number> numbers(const flatbuffers::Vector<Number>* vector) {
  std::vector<Number> out(vector == nullptr ? 0 : vector->size());
  if (!out.empty()) std::memcpy(out.data(), vector->Data(), out.size() * sizeof(Number));
  for (Number& number : out) number = flatbuffers::EndianScalar(number);
  return out;
}

// The finished bytes.
[[nodiscard]] inline Bytes take(const flatbuffers::FlatBufferBuilder& builder) {
  return Bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
}

// The error for a number that may have a meaning in a later version.
[[nodiscard]] inline tl::unexpected<Error> newer(std::string_view field, std::uint64_t value) {
  return fail(Code::unsupported,
              std::string(field) + " is " + std::to_string(value) +
                  ": made by a newer version; update this program (or the device's client) to read it");
}

}  // namespace instar::flat

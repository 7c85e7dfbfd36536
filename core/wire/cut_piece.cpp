#include "core/wire/cut_piece.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "schemas/chunk_generated.h"

namespace instar::wire {
namespace {

struct Filled {
  ChunkPiece piece;
  std::size_t data_at = 0;
};

// The message with what is missing filled by one byte.
std::optional<Filled> filled(ByteView start, std::size_t bytes, std::uint8_t by) {
  Bytes whole(start.begin(), start.end());
  whole.resize(bytes, by);
  auto piece = decode_chunk_piece(whole);
  if (!piece || piece->data.empty()) return std::nullopt;
  const auto* data = flatbuffers::GetRoot<fb::ChunkPiece>(whole.data())->data()->data();
  return Filled{std::move(*piece), static_cast<std::size_t>(data - whole.data())};
}

}  // namespace

// Whatever is read from what is missing differs between two fillings.
std::optional<ChunkPiece> decode_cut_piece(ByteView start, std::size_t bytes) {
  if (start.size() >= bytes || bytes > limits::kMessageBytesMax) return std::nullopt;
  auto one = filled(start, bytes, 0x00);
  const auto other = filled(start, bytes, 0xff);
  if (!one || !other || one->data_at != other->data_at || start.size() <= one->data_at) return std::nullopt;
  const auto& piece = one->piece;
  const bool same = piece.session == other->piece.session && piece.ordinal == other->piece.ordinal &&
                    piece.offset == other->piece.offset && piece.data.size() == other->piece.data.size();
  if (!same) return std::nullopt;
  one->piece.data.resize(std::min(piece.data.size(), start.size() - one->data_at));
  return std::move(one->piece);
}

}  // namespace instar::wire

// What can be had of a chunk piece of which only the start has arrived.
#pragma once

#include <cstddef>
#include <optional>

#include "core/wire/messages.hpp"

namespace instar::wire {

// `start`: of a message that would have had `bytes`. The piece is the one that the message carries, with as much of its
// data as is there. Nothing: there is none of it, or the start does not say whose it is.
[[nodiscard]] std::optional<ChunkPiece> decode_cut_piece(ByteView start, std::size_t bytes);

}  // namespace instar::wire

#include "core/wire/cut_piece.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/wire/testing/examples.hpp"

namespace instar::wire {
namespace {

ChunkPiece long_piece() {
  auto piece = examples::piece();
  piece.data.resize(3'000);
  for (std::size_t i = 0; i < piece.data.size(); ++i) piece.data[i] = static_cast<std::uint8_t>(i * 7);
  return piece;
}

TEST(CutPiece, IsWhatHasArrivedOfTheDataAtWhateverByteItWasCut) {
  const auto piece = long_piece();
  const auto message = encode(piece);
  std::size_t had = 0;
  for (std::size_t cut = 0; cut < message.size(); ++cut) {
    const auto found = decode_cut_piece(ByteView(message).first(cut), message.size());
    if (!found) {
      EXPECT_EQ(had, 0U) << "at " << cut;
      continue;
    }
    EXPECT_EQ(found->session, piece.session);
    EXPECT_EQ(found->ordinal, piece.ordinal);
    EXPECT_EQ(found->offset, piece.offset);
    EXPECT_EQ(found->fault, ChunkFault::none);
    ASSERT_GE(found->data.size(), std::max<std::size_t>(had, 1));
    EXPECT_TRUE(std::equal(found->data.begin(), found->data.end(), piece.data.begin()));
    had = found->data.size();
  }
  EXPECT_GE(had, piece.data.size() - 4) << "all but the last bytes";
}

TEST(CutPiece, IsNothingOfAWholeMessageAnAnswerOrSomethingElse) {
  const auto message = encode(long_piece());
  EXPECT_FALSE(decode_cut_piece(message, message.size()));
  auto position = examples::piece();
  position.data.clear();
  position.fault = ChunkFault::position;
  const auto answer = encode(position);
  EXPECT_FALSE(decode_cut_piece(ByteView(answer).first(answer.size() - 1), answer.size()));
  const auto ack = encode(Ack{7, Code::ok, "taken"});
  EXPECT_FALSE(decode_cut_piece(ByteView(ack).first(ack.size() - 1), ack.size()));
  EXPECT_FALSE(decode_cut_piece(ByteView(message).first(200), limits::kMessageBytesMax + 1));
}

}  // namespace
}  // namespace instar::wire

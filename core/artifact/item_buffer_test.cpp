#include "core/artifact/item_buffer.hpp"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace instar::artifact {
namespace {

using testing::ElementsAre;

// An item is a length and that many bytes.
struct Reader {
  ItemBuffer buffer;
  std::vector<std::string> items;

  Status feed(std::string_view piece) {
    return buffer.feed(as_bytes(piece), [this](ByteView bytes) -> Result<std::size_t> {
      const std::size_t length = bytes.front();
      if (length == 9) return fail(Code::malformed, "nine is too long");
      if (bytes.size() < 1 + length) return 0;
      items.emplace_back(as_text(bytes.subspan(1, length)));
      return 1 + length;
    });
  }
};

TEST(ItemBuffer, ReadsTheSameItemsFromAnyPieces) {
  const std::string stream = "\2ab\1c\3def";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    Reader reader;
    ASSERT_TRUE(reader.feed(stream.substr(0, cut)));
    ASSERT_TRUE(reader.feed(stream.substr(cut)));
    EXPECT_THAT(reader.items, ElementsAre("ab", "c", "def")) << cut;
    EXPECT_TRUE(reader.buffer.empty());
  }
}

TEST(ItemBuffer, KeepsTheStartOfAnItem) {
  Reader reader;
  ASSERT_TRUE(reader.feed("\1a\3b"));
  EXPECT_THAT(reader.items, ElementsAre("a"));
  EXPECT_FALSE(reader.buffer.empty());
}

TEST(ItemBuffer, ReturnsTheReadersError) {
  Reader reader;
  EXPECT_EQ(reader.feed("\1a\x09").error().code, Code::malformed);
}

}  // namespace
}  // namespace instar::artifact

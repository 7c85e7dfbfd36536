#include "core/trust/digest.hpp"

#include <gtest/gtest.h>

namespace instar::trust {
namespace {

TEST(Digest, MatchesKnownAnswers) {
  // BLAKE2b with a 32-byte digest, as b2sum -l 256 prints it.
  EXPECT_EQ(digest({}).hex(), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  EXPECT_EQ(digest(as_bytes("abc")).hex(), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

TEST(Hasher, GivesTheSameForAnyCutOfTheStream) {
  Bytes bytes(1000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  for (const std::size_t cut :
       {std::size_t{0}, std::size_t{1}, std::size_t{127}, std::size_t{128}, std::size_t{129}, std::size_t{999}}) {
    Hasher hasher;
    hasher.update(ByteView(bytes).first(cut));
    hasher.update({});
    hasher.update(ByteView(bytes).subspan(cut));
    EXPECT_EQ(hasher.finish(), digest(bytes)) << cut;
  }
}

TEST(Hasher, IsCopyableMidStream) {
  Hasher first;
  first.update(as_bytes("a"));
  Hasher second = first;
  first.update(as_bytes("bc"));
  second.update(as_bytes("xy"));
  EXPECT_EQ(first.finish(), digest(as_bytes("abc")));
  EXPECT_EQ(second.finish(), digest(as_bytes("axy")));
}

}  // namespace
}  // namespace instar::trust

#include "publisher/console/clean_stream.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace instar::publisher {
namespace {

std::string cleaned(std::string_view text) {
  std::ostringstream out;
  {
    CleanStream stream(out);
    stream << text;
  }
  return out.str();
}

TEST(CleanStream, PassesOnWhatIsCleanAndWhatMovesTheCursor) {
  for (const std::string text : {"", "plain\n", "Grüße 日本語 🦋\n\ttab", "\r\x1b[K 50%", "\x1b[3A\x1b[J"})
    EXPECT_EQ(cleaned(text), text);
}

TEST(CleanStream, ReplacesWhatHidesText) {
  EXPECT_EQ(cleaned("a\u202eb\u200bc\x7f\u009b\xff\x07"), "a???b???c?????");
  EXPECT_EQ(cleaned("cut \xe6\x97"), "cut ??") << "the end of a stream completes nothing";
}

TEST(CleanStream, ACharacterInPartsIsOne) {
  const std::string text = "ü\u202e🦋x\xe2\x82y";
  for (std::size_t at = 0; at <= text.size(); ++at) {
    std::ostringstream out;
    CleanStream stream(out);
    stream << text.substr(0, at) << text.substr(at) << std::flush;
    EXPECT_EQ(out.str(), "ü???🦋x??y") << at;
  }
  std::ostringstream out;
  CleanStream stream(out);
  for (const char c : text) stream.put(c);
  stream.flush();
  EXPECT_EQ(out.str(), "ü???🦋x??y");
}

TEST(CleanStream, AStreamThatFailedSaysSo) {
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  CleanStream stream(out);
  stream << "text" << std::flush;
  EXPECT_FALSE(stream.good());
}

}  // namespace
}  // namespace instar::publisher

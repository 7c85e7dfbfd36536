// Deltas of large trees: one file of 120 MB, zeros, 10,000 small files.
#include <gtest/gtest.h>

#include "publisher/artifact/unpacking.hpp"
#include "publisher/delta/build.hpp"
#include "publisher/testing/trees.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kLargeBytes = 120'000'000;

class LargeTrees : public testing::Test {
 protected:
  // Makes the delta, unpacks it again and compares the trees. Returns the size of the delta.
  std::uint64_t round_trip(const std::string& base, const std::string& fresh) {
    const auto old_tree = open_tree(folder_ / base, folder_.path(), {});
    const auto new_tree = open_tree(folder_ / fresh, folder_.path(), {});
    EXPECT_TRUE(old_tree && new_tree);
    const auto pack = write_delta_pack(*old_tree, *new_tree, folder_.path(), {});
    EXPECT_TRUE(pack) << pack.error().message;
    if (!pack) return 0;
    UnpackOptions options;
    options.source = pack->path();
    options.base = folder_ / base;
    options.out = folder_ / "back";
    const auto done = unpack(options);
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_EQ(artifact_on_disk(folder_ / "back"), new_tree->id);
    EXPECT_TRUE(files::remove_tree(folder_ / "back"));
    return pack->wire_bytes();
  }
  files::TemporaryFolder folder_;
};

TEST_F(LargeTrees, OneFileOf120Megabytes) {
  // Half of the file repeats, half is noise. Then parts of it move and bytes change.
  Bytes content = noise(kLargeBytes / 2, 1);
  content.resize(kLargeBytes);
  for (std::size_t i = kLargeBytes / 2; i < kLargeBytes; ++i)
    content[i] = static_cast<std::uint8_t>(content[i % 1'000'000] & 0x0f);
  write_in(folder_ / "one", "bin/large", content, 0755);
  for (std::size_t i = 0; i < kLargeBytes; i += 100'000) content[i] ^= 1;
  content.insert(content.begin() + 30'000'000, 5'000, 0x7f);
  content.erase(content.begin() + 90'000'000, content.begin() + 90'003'000);
  write_in(folder_ / "two", "bin/large", content, 0755);
  EXPECT_LT(round_trip("one", "two"), 100'000U);
}

TEST_F(LargeTrees, AFileOfZeros) {
  write_in(folder_ / "one", "data/zeros", Bytes(20'000'000));
  write_in(folder_ / "two", "data/zeros", Bytes(30'000'000));
  write_in(folder_ / "two", "data/more", Bytes(1'000'000));
  EXPECT_LT(round_trip("one", "two"), 20'000U);
  EXPECT_LT(round_trip("two", "one"), 20'000U);
}

TEST_F(LargeTrees, TenThousandSmallFiles) {
  for (int i = 0; i < 10'000; ++i) {
    const std::string path = "share/" + std::to_string(i % 100) + "/" + std::to_string(i);
    const std::string text =
        "file " + std::to_string(i) + " of many, with a value of " + std::to_string(i * 7919) + "\n";
    write_in(folder_ / "one", path, as_bytes(text));
    if (i % 10 == 3) continue;
    write_in(folder_ / "two", path, as_bytes(i % 4 == 0 ? text + "and a line more\n" : text));
  }
  for (int i = 0; i < 500; ++i)
    write_in(folder_ / "two", "share/new/" + std::to_string(i), as_bytes("new " + std::to_string(i)));
  EXPECT_LT(round_trip("one", "two"), 40'000U);
  EXPECT_LT(round_trip("two", "one"), 60'000U);
}

}  // namespace
}  // namespace instar::publisher

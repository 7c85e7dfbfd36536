#include "publisher/release/root_chain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/trust/root.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"
#include "publisher/release/keyring.hpp"

namespace instar::publisher {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr WallMs kChainNow{1'760'000'000'000};

class RootChainFiles : public testing::Test {
 protected:
  void SetUp() override {
    KeygenOptions options;
    options.folder = folder_ / "keys";
    const auto made = generate_keys(options, kChainNow);
    ASSERT_TRUE(made.has_value()) << made.error().message;
    key_ = load_secret_keys({folder_ / "keys/root.key"}).value();
    roots_.push_back(files::read_file(folder_ / "keys/root.instar", 100'000).value());
    for (int version = 2; version <= 4; ++version) {
      roots_.push_back(next_root(roots_.back(), {}, key_, kChainNow).value());
      ASSERT_TRUE(files::write_file_atomic(path(version), roots_.back()).has_value());
    }
  }
  [[nodiscard]] std::string path(int version) const {
    return folder_ / ("keys/root-" + std::to_string(version) + ".instar");
  }
  [[nodiscard]] const Bytes& root(int version) const { return roots_.at(static_cast<std::size_t>(version - 1)); }

  files::TemporaryFolder folder_;
  std::vector<trust::SecretKey> key_;
  std::vector<Bytes> roots_;
};

TEST_F(RootChainFiles, AreFoundBesideTheNewestOne) {
  ASSERT_TRUE(files::write_file_atomic(folder_ / "keys/other.instar", as_bytes("no root")).has_value());
  const auto found = read_roots({}, path(4));
  ASSERT_TRUE(found.has_value());
  EXPECT_THAT(chain_before(root(4), *found), ElementsAre(root(1), root(2), root(3)));
  EXPECT_THAT(chain_before(root(2), *found), ElementsAre(root(1)));
  EXPECT_THAT(chain_before(root(1), *found), IsEmpty());
}

TEST_F(RootChainFiles, AreTakenFromFilesAndFolders) {
  ASSERT_TRUE(files::make_folders(folder_ / "elsewhere").has_value());
  const auto newest = folder_ / "elsewhere/newest";
  ASSERT_TRUE(files::write_file_atomic(newest, root(4)).has_value());
  EXPECT_THAT(chain_before(root(4), read_roots({}, newest).value()), IsEmpty());
  EXPECT_THAT(chain_before(root(4), read_roots({path(3), path(2)}, newest).value()), ElementsAre(root(2), root(3)));
  EXPECT_THAT(chain_before(root(4), read_roots({folder_ / "keys"}, newest).value()),
              ElementsAre(root(1), root(2), root(3)));
  EXPECT_EQ(read_roots({folder_ / "nothing"}, newest).error().code, Code::not_found);
}

TEST_F(RootChainFiles, OneThatIsNotOfTheChainEndsIt) {
  auto forged = root(3);
  forged.back() ^= 1;
  EXPECT_THAT(chain_before(root(4), {forged, root(2)}), IsEmpty());
  EXPECT_THAT(chain_before(root(4), {root(3), root(1)}), ElementsAre(root(3)));
}

TEST_F(RootChainFiles, SayWhatADeviceAtTheFirstWouldMiss) {
  EXPECT_EQ(missing_before(1, {}), "");
  EXPECT_EQ(missing_before(2, {}), "");
  EXPECT_EQ(missing_before(3, {}), "2");
  EXPECT_EQ(missing_before(4, {}), "2 to 3");
  EXPECT_EQ(missing_before(4, {root(3)}), "2");
  EXPECT_EQ(missing_before(4, {root(2), root(3)}), "");
}

TEST_F(RootChainFiles, ExpireWhenTheyAreToldTo) {
  const auto document = [](const Bytes& envelope) { return trust::TrustStore::from_pinned(envelope)->root(); };
  EXPECT_EQ(document(root(1)).expires.value, 0);
  RootChange change;
  change.expires_after_ms = parse_root_expiry(kRootExpiresDefault).value();
  const auto next = next_root(root(4), change, key_, kChainNow);
  EXPECT_EQ(document(*next).expires, kChainNow + 730LL * 86'400'000);
  EXPECT_EQ(document(*next_root(*next, {}, key_, kChainNow)).expires.value, 0) << "it is not handed on";
  EXPECT_EQ(parse_root_expiry("never").value(), 0);
  for (const char* bad : {"0", "", "soon", "-1d"}) EXPECT_FALSE(parse_root_expiry(bad).has_value()) << bad;
}

}  // namespace
}  // namespace instar::publisher

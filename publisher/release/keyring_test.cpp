#include "publisher/release/keyring.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

constexpr WallMs kNow{1'763'881'282'000};

class Keyring : public testing::Test {
 protected:
  KeygenOptions options() const {
    KeygenOptions all;
    all.folder = folder_ / "keys";
    return all;
  }
  Bytes root() const { return *files::read_file(folder_ / "keys/root.instar", 100'000); }
  std::vector<trust::SecretKey> secrets(const std::vector<std::string>& names) const {
    std::vector<std::string> paths;
    for (const auto& name : names) paths.push_back(folder_ / ("keys/" + name));
    return *load_secret_keys(paths);
  }
  trust::PublicKey fresh_key() const { return trust::SecretKey::from_seed(*files::random_bytes(32))->public_key(); }

  files::TemporaryFolder folder_;
};

TEST_F(Keyring, MakesKeysThatOnlyTheOwnerCanRead) {
  const auto result = generate_keys(options(), kNow);
  ASSERT_TRUE(result) << result.error().message;
  ASSERT_EQ(result->keys.size(), 3U);
  for (const auto& key : result->keys) {
    struct stat info {};
    ASSERT_EQ(::stat(key.path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600U) << key.path;
    const auto secret = load_secret_key(key.path);
    const auto public_key = load_public_key(key.public_path);
    ASSERT_TRUE(secret && public_key);
    EXPECT_EQ(secret->public_key(), *public_key);
    EXPECT_EQ(public_key->id(), key.id);
  }
  const auto store = trust::TrustStore::from_pinned(root());
  ASSERT_TRUE(store);
  EXPECT_EQ(store->root().version, 1U);
  EXPECT_EQ(store->root().issued, kNow);
  EXPECT_EQ(store->root().keys.size(), 3U);
}

TEST_F(Keyring, NeverOverwritesAnything) {
  ASSERT_TRUE(generate_keys(options(), kNow));
  const auto before = root();
  const auto again = generate_keys(options(), kNow);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::invalid_argument);
  EXPECT_EQ(root(), before);
  // One file of the set is enough.
  auto other = options();
  other.folder = folder_ / "other";
  ASSERT_TRUE(files::make_folders(other.folder));
  ASSERT_TRUE(files::write_file_atomic(other.folder + "/gate.pub", as_bytes("mine")));
  EXPECT_FALSE(generate_keys(other, kNow));
  EXPECT_FALSE(files::read_file(other.folder + "/root.key", 100));
}

TEST_F(Keyring, MakesThresholds) {
  auto several = options();
  several.root_keys = 3;
  several.root_threshold = 2;
  several.release_keys = 2;
  several.release_threshold = 2;
  several.release_filter = "plant-7/#";
  several.label = "acme";
  ASSERT_TRUE(generate_keys(several, kNow));
  const auto store = trust::TrustStore::from_pinned(root());
  ASSERT_TRUE(store);
  EXPECT_EQ(store->root().role(trust::RoleName::root)->threshold, 2U);
  EXPECT_EQ(store->root().role(trust::RoleName::root)->key_ids.size(), 3U);
  EXPECT_EQ(store->root().role(trust::RoleName::release)->threshold, 2U);
  const auto outside = GroupPath::parse("plant-8");
  EXPECT_TRUE(store->root().authorized(trust::RoleName::release, &*outside).empty());
  EXPECT_TRUE(load_secret_key(folder_ / "keys/root-3.key"));
  EXPECT_TRUE(load_secret_key(folder_ / "keys/gate.key"));
}

TEST_F(Keyring, RefusesThresholdsThatCannotBeMet) {
  const auto code_of = [&](const std::function<void(KeygenOptions&)>& change) {
    auto changed = options();
    change(changed);
    const auto result = generate_keys(changed, kNow);
    return result ? Code::ok : result.error().code;
  };
  EXPECT_EQ(code_of([](auto& o) { o.root_threshold = 2; }), Code::invalid_argument);
  EXPECT_EQ(code_of([](auto& o) { o.root_threshold = 0; }), Code::invalid_argument);
  EXPECT_EQ(code_of([](auto& o) { o.release_keys = 0; }), Code::invalid_argument);
  EXPECT_EQ(code_of([](auto& o) { o.root_keys = 32; }), Code::invalid_argument);
  EXPECT_EQ(code_of([](auto& o) { o.root_keys = ~0U; }), Code::invalid_argument);
  EXPECT_EQ(code_of([](auto& o) { o.release_filter = "a/+/#"; }), Code::invalid_argument);
  EXPECT_FALSE(files::read_file(folder_ / "keys/root.instar", 100'000));
}

TEST_F(Keyring, ASecretThatOthersCanReadIsNotUsed) {
  ASSERT_TRUE(generate_keys(options(), kNow));
  const auto path = folder_ / "keys/release.key";
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  const auto key = load_secret_key(path);
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code, Code::refused);
  EXPECT_THAT(key.error().message, HasSubstr("chmod 600"));
}

TEST_F(Keyring, WrongKeyFilesSaySo) {
  ASSERT_TRUE(generate_keys(options(), kNow));
  const auto as_secret = load_secret_key(folder_ / "keys/release.pub");
  ASSERT_FALSE(as_secret);
  EXPECT_THAT(load_public_key(folder_ / "keys/release.key").error().message, HasSubstr("release.key"));
  EXPECT_EQ(load_secret_key(folder_ / "none").error().code, Code::not_found);
  const auto path = folder_ / "keys/release.key";
  EXPECT_EQ(load_secret_keys({path, path}).error().code, Code::invalid_argument);
}

TEST_F(Keyring, TheNextRootDocumentIsAcceptedByWhoHasTheLast) {
  ASSERT_TRUE(generate_keys(options(), kNow));
  const auto added = fresh_key();
  RootChange change;
  change.add.push_back({trust::RoleName::release, added, "plant-7", "second"});
  change.release_threshold = 2;
  const auto next = next_root(root(), change, secrets({"root.key"}), kNow + 1);
  ASSERT_TRUE(next) << next.error().message;
  auto store = trust::TrustStore::from_pinned(root());
  ASSERT_TRUE(store->advance(*next));
  EXPECT_EQ(store->root().version, 2U);
  EXPECT_EQ(store->root().role(trust::RoleName::release)->threshold, 2U);
  EXPECT_EQ(store->root().role(trust::RoleName::release)->key_ids.size(), 2U);
}

TEST_F(Keyring, AKeyCanBeRemoved) {
  ASSERT_TRUE(generate_keys(options(), kNow));
  const auto lost = load_public_key(folder_ / "keys/release.pub")->id();
  RootChange change;
  change.remove = {lost};
  // A role must keep at least one key.
  EXPECT_FALSE(next_root(root(), change, secrets({"root.key"}), kNow));
  change.add.push_back({trust::RoleName::release, fresh_key(), "", "new"});
  const auto next = next_root(root(), change, secrets({"root.key"}), kNow);
  ASSERT_TRUE(next) << next.error().message;
  const auto document = trust::TrustStore::from_pinned(*next)->root();
  for (const auto& key : document.keys) EXPECT_NE(key.key.id(), lost);
  change.remove = {lost + 1};
  EXPECT_EQ(next_root(root(), change, secrets({"root.key"}), kNow).error().code, Code::not_found);
}

TEST_F(Keyring, TheRoleApproveComesWithItsFirstKeyAndGoesWithItsLast) {
  ASSERT_TRUE(generate_keys(options(), kNow));
  RootChange change;
  change.approve_threshold = 1;
  EXPECT_EQ(next_root(root(), change, secrets({"root.key"}), kNow).error().code, Code::invalid_argument);
  const auto approver = fresh_key();
  change.add.push_back({trust::RoleName::approve, approver, "plant-7/#", "operations"});
  const auto next = next_root(root(), change, secrets({"root.key"}), kNow);
  ASSERT_TRUE(next) << next.error().message;
  const auto document = trust::TrustStore::from_pinned(*next)->root();
  ASSERT_NE(document.role(trust::RoleName::approve), nullptr);
  EXPECT_THAT(root_text(document), HasSubstr("role approve"));
  RootChange back;
  back.remove = {approver.id()};
  const auto last = next_root(*next, back, secrets({"root.key"}), kNow);
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_EQ(trust::TrustStore::from_pinned(*last)->root().role(trust::RoleName::approve), nullptr);
}

TEST_F(Keyring, ARootDocumentNeedsTheRootKeys) {
  ASSERT_TRUE(generate_keys(options(), kNow));
  RootChange change;
  change.add.push_back({trust::RoleName::release, fresh_key(), "", "new"});
  EXPECT_FALSE(next_root(root(), change, secrets({"release.key"}), kNow));
  EXPECT_FALSE(next_root(root(), change, {}, kNow));
  // The new root threshold counts as well.
  change.add.push_back({trust::RoleName::root, fresh_key(), "", "second root"});
  change.root_threshold = 2;
  EXPECT_FALSE(next_root(root(), change, secrets({"root.key"}), kNow));
}

TEST_F(Keyring, KeyIdsReadBack) {
  const auto id = fresh_key().id();
  EXPECT_EQ(parse_key_id(trust::key_text(id)), id);
  for (const auto* text : {"", "12", "zz00000000000000", "00000000000000000"}) EXPECT_FALSE(parse_key_id(text)) << text;
}

}  // namespace
}  // namespace instar::publisher

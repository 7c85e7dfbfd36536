#include "core/trust/root.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/flat.hpp"
#include "core/trust/testing/test_keys.hpp"
#include "schemas/root_generated.h"

namespace instar::trust {
namespace {

std::vector<SecretKey> keys_of(std::initializer_list<int> fills) {
  std::vector<SecretKey> keys;
  for (const auto fill : fills) keys.push_back(key_of(fill));
  return keys;
}

KeyId id_of(int fill) {
  return key_of(fill).public_key().id();
}

GroupPath group(std::string_view text) {
  return GroupPath::parse(text).value();
}

// Root keys 1 2 3 (2 of 3), release keys 11 (all) and 12 (plant-7/#), gate key 21.
RootDocument document() {
  RootDocument root;
  root.version = 1;
  root.issued = {1'700'000'000'000};
  for (const int fill : {1, 2, 3, 11, 12, 21}) root.keys.push_back({key_of(fill).public_key(), "", ""});
  root.keys[4].group_filter = "plant-7/#";
  root.keys[4].label = "Plant 7";
  root.roles = {{RoleName::root, 2, {id_of(1), id_of(2), id_of(3)}},
                {RoleName::release, 1, {id_of(11), id_of(12)}},
                {RoleName::gate, 1, {id_of(21)}}};
  return root;
}

Bytes seal_root(const RootDocument& root, std::initializer_list<int> signers) {
  return seal(Kind::root, encode_root(root), keys_of(signers));
}

// Follows `before`, with root keys `fills` and that threshold.
RootDocument successor(const RootDocument& before, std::initializer_list<int> fills, std::uint32_t threshold) {
  RootDocument next = before;
  next.version = before.version + 1;
  next.previous = digest(encode_root(before));
  next.roles[0] = {RoleName::root, threshold, {}};
  for (const auto fill : fills) {
    next.roles[0].key_ids.push_back(id_of(fill));
    if (std::ranges::none_of(next.keys, [&](const RootKey& k) { return k.key.id() == id_of(fill); })) {
      next.keys.push_back({key_of(fill).public_key(), "", ""});
    }
  }
  return next;
}

TrustStore pinned() {
  return TrustStore::from_pinned(seal_root(document(), {1, 2})).value();
}

TEST(RootDocument, IsDecodedToWhatWasEncodedAndHasOneEncoding) {
  const Bytes bytes = encode_root(document());
  EXPECT_EQ(bytes, encode_root(document()));
  const auto back = decode_root(bytes).value();
  EXPECT_EQ(encode_root(back), bytes);
  EXPECT_EQ(back.version, 1U);
  EXPECT_EQ(back.issued.value, 1'700'000'000'000);
  EXPECT_FALSE(back.previous.has_value());
  ASSERT_EQ(back.keys.size(), 6U);
  EXPECT_EQ(back.keys[4].group_filter, "plant-7/#");
  EXPECT_EQ(back.keys[4].label, "Plant 7");
  ASSERT_NE(back.role(RoleName::root), nullptr);
  EXPECT_EQ(back.role(RoleName::root)->threshold, 2U);
}

TEST(RootDocument, ThatIsCutAnywhereIsRefusedOrTheSame) {
  const Bytes bytes = encode_root(document());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = decode_root(ByteView(bytes).first(size));
    // Only padding at the very end may be missing.
    if (cut.has_value()) {
      EXPECT_EQ(encode_root(*cut), bytes) << size;
    }
    if (size + 4 < bytes.size()) {
      EXPECT_FALSE(cut.has_value()) << size;
    }
  }
}

// Found by fuzzing: key ids at an address that is no multiple of 8, which the Verifier accepts. The sanitizers' build
// reports it.
TEST(RootDocument, ReadsNumbersThatAreNotAligned) {
  Bytes bytes;
  ASSERT_TRUE(
      from_hex("18000000494e524f10001c00000004001000000008000c001000000001000000100000001000000000c02cc8990100000000000"
               "0030000007400000044000000"
               "18000000040000008401000030010000c800000070000053e2ffffff000000020400000001000000b6e8cee269bf69890000000"
               "000000a000c00070000000800"
               "0a000000000000010400000002000000c11ae4092c56101437a3e7fb9bac32a700000a0008000000000004000a0000000800000"
               "00400000001000000c5e21ab1"
               "c9f602ea0000000e1d94121bf3748801b40f6f5c",
               bytes));
  EXPECT_EQ(decode_root(bytes).error().code, Code::malformed);
}

// One key for each role, written field by field.
Bytes raw_root(std::uint8_t format, KeyId key_id, std::size_t key_bytes) {
  flatbuffers::FlatBufferBuilder builder;
  const auto key = key_of(1).public_key();
  const auto bytes = builder.CreateVector(key.bytes.data(), key_bytes);
  const auto keys = builder.CreateVector(std::vector{fb::CreateRootKey(builder, key_id, bytes)});
  std::vector<flatbuffers::Offset<fb::Role>> roles;
  for (const auto name : {fb::RoleName::root, fb::RoleName::release, fb::RoleName::gate}) {
    const auto ids = builder.CreateVector(std::vector{key.id()});
    roles.push_back(fb::CreateRole(builder, name, 1, ids));
  }
  const auto all = builder.CreateVector(roles);
  builder.Finish(fb::CreateRoot(builder, format, 1, 0, 0, keys, all), fb::RootIdentifier());
  return flat::take(builder);
}

TEST(RootDocument, RefusesWhatNoEncoderOfOursWrites) {
  const KeyId id = id_of(1);
  EXPECT_TRUE(decode_root(raw_root(1, id, 32)).has_value());
  EXPECT_EQ(decode_root(raw_root(1, id + 1, 32)).error().code, Code::malformed);
  EXPECT_NE(decode_root(raw_root(1, id + 1, 32)).error().message.find("keys.key_id"), std::string::npos);
  EXPECT_EQ(decode_root(raw_root(1, id, 31)).error().code, Code::malformed);
  EXPECT_EQ(decode_root(raw_root(0, id, 32)).error().code, Code::malformed);
  EXPECT_EQ(decode_root(raw_root(2, id, 32)).error().code, Code::unsupported);
  EXPECT_NE(decode_root(raw_root(2, id, 32)).error().message.find("newer version; update"), std::string::npos);
}

using Break = void (*)(RootDocument&);
struct BrokenCase {
  const char* name;
  Break breaks;
  Code code;
  const char* says;
};

class BrokenRoot : public testing::TestWithParam<BrokenCase> {};

TEST_P(BrokenRoot, IsRefused) {
  RootDocument root = document();
  GetParam().breaks(root);
  const auto decoded = decode_root(encode_root(root));
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code, GetParam().code) << decoded.error().message;
  EXPECT_NE(decoded.error().message.find(GetParam().says), std::string::npos) << decoded.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Ways, BrokenRoot,
    testing::Values(
        BrokenCase{"VersionZero", [](RootDocument& r) { r.version = 0; }, Code::malformed, "version is 0"},
        BrokenCase{"FirstWithPrevious", [](RootDocument& r) { r.previous = Hash256{}; }, Code::malformed, "previous"},
        BrokenCase{"LaterWithoutPrevious", [](RootDocument& r) { r.version = 2; }, Code::malformed, "previous"},
        BrokenCase{"NegativeTime", [](RootDocument& r) { r.issued = {-1}; }, Code::malformed, "issued_ms"},
        BrokenCase{"FarExpiry", [](RootDocument& r) { r.expires = {INT64_MAX}; }, Code::malformed, "expires_ms"},
        BrokenCase{"KeyTwice", [](RootDocument& r) { r.keys.push_back(r.keys[0]); }, Code::malformed,
                   "a key stands in it twice"},
        BrokenCase{"NoKeys", [](RootDocument& r) { r.keys.clear(); }, Code::malformed, "not in the document"},
        BrokenCase{"NotAKey", [](RootDocument& r) { r.keys[0].key = {}; }, Code::malformed, "keys.public_key"},
        BrokenCase{"UnknownKeyInRole", [](RootDocument& r) { r.roles[1].key_ids[0] = 5; }, Code::malformed,
                   "role release names a key"},
        BrokenCase{"KeyTwiceInRole", [](RootDocument& r) { r.roles[0].key_ids[0] = r.roles[0].key_ids[1]; },
                   Code::malformed, "names a key twice"},
        BrokenCase{"ThresholdZero", [](RootDocument& r) { r.roles[2].threshold = 0; }, Code::malformed, "needs 0 of 1"},
        BrokenCase{"ThresholdOverKeys", [](RootDocument& r) { r.roles[0].threshold = 4; }, Code::malformed,
                   "needs 4 of 3"},
        BrokenCase{"ThresholdThatWouldWrap", [](RootDocument& r) { r.roles[0].threshold = 257; }, Code::malformed,
                   "needs 255 of 3"},
        BrokenCase{"EmptyRole", [](RootDocument& r) { r.roles[1].key_ids.clear(); }, Code::malformed, "needs 1 of 0"},
        BrokenCase{"MissingRole", [](RootDocument& r) { r.roles.pop_back(); }, Code::malformed, "role gate is missing"},
        BrokenCase{"RoleTwice", [](RootDocument& r) { r.roles[2] = r.roles[0]; }, Code::malformed,
                   "stands in it twice"},
        BrokenCase{"FiveRoles",
                   [](RootDocument& r) {
                     r.roles.push_back(r.roles[0]);
                     r.roles.push_back(r.roles[1]);
                   },
                   Code::malformed, "more roles"},
        BrokenCase{"RoleOfALaterVersion", [](RootDocument& r) { r.roles[1].name = static_cast<RoleName>(4); },
                   Code::unsupported, "newer version"},
        BrokenCase{"FilterOnARootKey", [](RootDocument& r) { r.keys[0].group_filter = "#"; }, Code::malformed,
                   "group filter"},
        BrokenCase{"FilterWithPlus", [](RootDocument& r) { r.keys[3].group_filter = "a/+"; }, Code::malformed,
                   "group_filter"},
        BrokenCase{"FilterOfSlash", [](RootDocument& r) { r.keys[3].group_filter = "/#"; }, Code::malformed,
                   "group_filter"},
        BrokenCase{"LongLabel", [](RootDocument& r) { r.keys[0].label = std::string(65, 'x'); }, Code::too_large,
                   "label"},
        BrokenCase{"LabelSteersTerminal", [](RootDocument& r) { r.keys[0].label = "\x1b[2J"; }, Code::malformed,
                   "label"},
        BrokenCase{"TooManyKeys",
                   [](RootDocument& r) {
                     for (int fill = 100; fill < 130; ++fill) r.keys.push_back({key_of(fill).public_key(), "", ""});
                   },
                   Code::too_large, "over 32 keys"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(TrustStore, PinsARootThatItsOwnKeysSigned) {
  EXPECT_EQ(pinned().root().version, 1U);
  EXPECT_TRUE(TrustStore::from_pinned(seal_root(document(), {1, 2, 3})).has_value());
}

TEST(TrustStore, RefusesToPinWhatIsNotSignedByItsOwnThreshold) {
  EXPECT_EQ(TrustStore::from_pinned(seal_root(document(), {1})).error().code, Code::untrusted_key);
  EXPECT_EQ(TrustStore::from_pinned(seal_root(document(), {1, 11})).error().code, Code::untrusted_key);
  EXPECT_EQ(TrustStore::from_pinned(seal_root(document(), {1, 2, 9})).error().code, Code::untrusted_key);
  EXPECT_EQ(TrustStore::from_pinned(seal(Kind::gate, encode_root(document()), keys_of({1, 2}))).error().code,
            Code::malformed);
  EXPECT_EQ(TrustStore::from_pinned({}).error().code, Code::malformed);
}

TEST(TrustStore, NoBitOfAPinnedRootCanBeFlipped) {
  const Bytes good = seal_root(document(), {1, 2});
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(TrustStore::from_pinned(bad).has_value()) << "bit " << bit;
  }
}

TEST(TrustStore, FollowsTheChainWhenAllKeysChange) {
  const auto one = document();
  const auto two = successor(one, {3, 4, 5}, 2);
  const auto three = successor(two, {6}, 1);
  auto store = pinned();
  ASSERT_EQ(code_of(store.advance(seal_root(two, {1, 3, 4}))), Code::ok);
  const Bytes last = seal_root(three, {4, 5, 6});
  ASSERT_EQ(code_of(store.advance(last)), Code::ok);
  EXPECT_EQ(store.root().version, 3U);
  EXPECT_EQ(store.envelope(), last);
  EXPECT_EQ(store.root().authorized(RoleName::root).size(), 1U);
}

TEST(TrustStore, ReloadsALaterRootWithSignaturesOfRemovedKeys) {
  const auto two = successor(document(), {4}, 1);
  const Bytes envelope = seal_root(two, {1, 2, 4});
  auto store = TrustStore::from_pinned(envelope);
  ASSERT_TRUE(store.has_value()) << store.error().message;
  const auto three = successor(two, {4}, 1);
  EXPECT_EQ(code_of(store->advance(seal_root(three, {4}))), Code::ok);
  EXPECT_EQ(TrustStore::from_pinned(seal_root(two, {1, 2})).error().code, Code::untrusted_key);
}

TEST(TrustStore, NeedsBothThresholds) {
  const auto two = successor(document(), {4, 5}, 2);
  auto store = pinned();
  EXPECT_EQ(code_of(store.advance(seal_root(two, {4, 5}))), Code::untrusted_key);           // none of the old
  EXPECT_EQ(code_of(store.advance(seal_root(two, {1, 4, 5}))), Code::untrusted_key);        // too few of the old
  EXPECT_EQ(code_of(store.advance(seal_root(two, {1, 2}))), Code::untrusted_key);           // none of the new
  EXPECT_EQ(code_of(store.advance(seal_root(two, {1, 2, 4}))), Code::untrusted_key);        // too few of the new
  EXPECT_EQ(code_of(store.advance(seal_root(two, {1, 2, 4, 5, 9}))), Code::untrusted_key);  // a stranger beside enough
  EXPECT_EQ(store.root().version, 1U);
  EXPECT_EQ(code_of(store.advance(seal_root(two, {1, 2, 4, 5}))), Code::ok);
}

TEST(TrustStore, ABadSignatureOfEitherSideIsRefused) {
  const auto two = successor(document(), {4}, 1);
  const Bytes good = seal_root(two, {1, 2, 4});
  for (std::size_t signature = 0; signature < 3; ++signature) {
    auto store = pinned();
    Bytes bad = good;
    bad[12 + signature * 72 + 20] ^= 1;
    EXPECT_EQ(code_of(store.advance(bad)), Code::bad_signature) << signature;
    EXPECT_EQ(store.root().version, 1U);
  }
}

TEST(TrustStore, RefusesASkippedVersion) {
  const auto two = successor(document(), {1, 2, 3}, 2);
  const auto three = successor(two, {1, 2, 3}, 2);
  auto store = pinned();
  const auto status = store.advance(seal_root(three, {1, 2}));
  EXPECT_EQ(code_of(status), Code::malformed);
  EXPECT_NE(status.error().message.find("skips"), std::string::npos);
  EXPECT_EQ(store.root().version, 1U);
}

TEST(TrustStore, RefusesOlderOnesAsStale) {
  const auto two = successor(document(), {4}, 1);
  auto store = pinned();
  ASSERT_EQ(code_of(store.advance(seal_root(two, {1, 2, 4}))), Code::ok);
  EXPECT_EQ(code_of(store.advance(seal_root(document(), {1, 2}))), Code::stale);
  // Two versions older, signed by keys that are still valid.
  const auto three = successor(two, {4}, 1);
  ASSERT_EQ(code_of(store.advance(seal_root(three, {4}))), Code::ok);
  EXPECT_EQ(code_of(store.advance(seal_root(document(), {4}))), Code::stale);
  EXPECT_EQ(store.root().version, 3U);
}

TEST(TrustStore, TheSameRootAgainChangesNothing) {
  auto store = pinned();
  EXPECT_EQ(code_of(store.advance(seal_root(document(), {1, 2}))), Code::ok);
  EXPECT_EQ(code_of(store.advance(seal_root(document(), {2, 3}))), Code::ok);
  EXPECT_EQ(store.envelope(), seal_root(document(), {1, 2}));
}

TEST(TrustStore, RefusesAnotherDocumentOfTheSameVersion) {
  auto other = document();
  other.issued = {1};
  auto store = pinned();
  EXPECT_EQ(code_of(store.advance(seal_root(other, {1, 2}))), Code::stale);
}

TEST(TrustStore, RefusesASuccessorOfAnotherDocument) {
  auto two = successor(document(), {1, 2, 3}, 2);
  two.previous = digest(as_bytes("another"));
  auto store = pinned();
  EXPECT_EQ(code_of(store.advance(seal_root(two, {1, 2}))), Code::malformed);
}

TEST(RootDocument, SaysItsVersionOnlyWhenItsOwnKeysHaveSignedIt) {
  EXPECT_EQ(claimed_version(seal_root(document(), {1, 2})).value(), 1U);
  const auto next = successor(document(), {4}, 1);
  EXPECT_EQ(claimed_version(seal_root(next, {1, 2, 4})).value(), 2U);
  EXPECT_EQ(claimed_version(seal_root(next, {4})).value(), 2U) << "nobody has said that it is to be believed";
  EXPECT_EQ(claimed_version(seal_root(next, {1, 2})).error().code, Code::untrusted_key);
  EXPECT_FALSE(claimed_version(to_bytes("no envelope")).has_value());
}

TEST(RootDocument, WarnsBeforeAndAfterItExpires) {
  auto root = document();
  const WallMs now{1'763'881'282'000};
  EXPECT_FALSE(expiry_warning(root, now).has_value()) << "it never expires";
  root.expires = now + (limits::kRootExpiryWarnMs + 1);
  EXPECT_FALSE(expiry_warning(root, now).has_value());
  root.expires = now + limits::kRootExpiryWarnMs;
  EXPECT_NE(expiry_warning(root, now)->find("root document 1 expires on 2025-12-23 07:01 UTC, in 30 days"),
            std::string::npos)
      << *expiry_warning(root, now);
  root.expires = now;
  EXPECT_NE(expiry_warning(root, now)->find("root document 1 expired on"), std::string::npos);
}

TEST(TrustStore, OpensManifestsByGroupFilter) {
  const auto store = pinned();
  const auto manifest = [](std::initializer_list<int> signers) {
    return seal(Kind::manifest, as_bytes("m"), keys_of(signers));
  };
  EXPECT_TRUE(store.open_manifest(manifest({11}), group("plant-9")).has_value());
  EXPECT_TRUE(store.open_manifest(manifest({12}), group("plant-7")).has_value());
  EXPECT_TRUE(store.open_manifest(manifest({12}), group("plant-7/line-a")).has_value());
  EXPECT_EQ(store.open_manifest(manifest({12}), group("plant-9")).error().code, Code::untrusted_key);
  EXPECT_EQ(store.open_manifest(manifest({12}), group("plant-70")).error().code, Code::untrusted_key);
  EXPECT_EQ(store.open_manifest(manifest({11, 12}), group("plant-9")).error().code, Code::untrusted_key);
  // Keys of other roles do not sign releases.
  EXPECT_EQ(store.open_manifest(manifest({1, 2}), group("plant-7")).error().code, Code::untrusted_key);
  EXPECT_EQ(store.open_manifest(manifest({21}), group("plant-7")).error().code, Code::untrusted_key);
  EXPECT_EQ(store.open_manifest(seal(Kind::gate, as_bytes("m"), key_of(11)), group("plant-7")).error().code,
            Code::malformed);
}

// What docs/formats/root.md says of a filter, told once more: level by level.
bool page_says(std::string_view filter, std::string_view path) {
  if (filter == "#") return true;
  const bool below_too = filter.ends_with("/#");
  const auto named = below_too ? filter.substr(0, filter.size() - 2) : filter;
  const auto levels = [](std::string_view text) {
    std::vector<std::string> out(1);
    for (const char c : text) {
      if (c == '/')
        out.emplace_back();
      else
        out.back() += c;
    }
    return out;
  };
  const auto wanted = levels(named);
  const auto have = levels(path);
  if (have.size() < wanted.size() || (!below_too && have.size() != wanted.size())) return false;
  return std::equal(wanted.begin(), wanted.end(), have.begin());
}

// Every path of up to four levels of names that are easily taken for one another.
std::vector<std::string> alike_paths() {
  std::vector<std::string> all;
  std::vector<std::string> row{""};
  for (int level = 0; level < 4; ++level) {
    std::vector<std::string> next;
    for (const auto& parent : row) {
      for (const char* name : {"p", "P", "p-7", "p-70"}) next.push_back(parent.empty() ? name : parent + "/" + name);
    }
    all.insert(all.end(), next.begin(), next.end());
    row = std::move(next);
  }
  return all;
}

TEST(ReleaseKeys, AFilterReachesWhatThePageSaysForEachFilterAndGroup) {
  const auto paths = alike_paths();
  std::vector<std::string> filters{"#"};
  for (std::size_t i = 0; i < paths.size(); i += 7) {
    filters.push_back(paths[i]);
    if (std::ranges::count(paths[i], '/') < 3) filters.push_back(paths[i] + "/#");
  }
  for (const auto& filter : filters) {
    const ReleaseKeys keys{{1, filter}, {2, "#"}};
    for (const auto& path : paths) {
      const auto where = group(path);
      const KeyId limited = 1;
      ASSERT_EQ(reach(keys, std::span(&limited, 1), where), page_says(filter, path)) << filter << " and " << path;
      const std::array<KeyId, 2> both{1, 2};
      ASSERT_EQ(reach(keys, both, where), page_says(filter, path)) << "a second key makes the first reach no further";
      const KeyId stranger = 3;
      ASSERT_FALSE(reach(keys, std::span(&stranger, 1), where));
    }
  }
}

TEST(ReleaseKeys, AreReplacedWhenOneIsGoneOrReachesOtherGroups) {
  const ReleaseKeys before{{1, "#"}, {2, "plant-7/#"}};
  EXPECT_FALSE(replaces(before, before));
  EXPECT_FALSE(replaces({{1, "#"}, {2, "plant-7/#"}, {3, "plant-9"}}, before)) << "one more";
  EXPECT_TRUE(replaces({{1, "#"}}, before));
  EXPECT_TRUE(replaces({{1, "#"}, {2, "plant-7"}}, before));
  EXPECT_TRUE(replaces({{1, "#"}, {3, "plant-7/#"}}, before));
}

TEST(ReleaseKeys, AreThoseOfTheRoleReleaseAlone) {
  EXPECT_EQ(document().release_keys(), (ReleaseKeys{{id_of(11), "#"}, {id_of(12), "plant-7/#"}}));
}

TEST(TrustStore, SaysWhichKeyDoesNotReachAGroup) {
  const auto store = pinned();
  const auto both = seal(Kind::assignment, as_bytes("a"), keys_of({11, 12}));
  const auto opened = store.open_assignment(both);
  ASSERT_TRUE(opened.has_value());
  EXPECT_TRUE(store.reaches(*opened, group("plant-7/line-a")).has_value());
  const auto refused = store.reaches(*opened, group("plant-9"));
  ASSERT_EQ(code_of(refused), Code::untrusted_key);
  EXPECT_NE(refused.error().message.find("which is for plant-7/# alone"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("plant-9"), std::string::npos);
}

TEST(TrustStore, OpensApprovalsByReleaseKeysThatReachAllGroups) {
  const auto store = pinned();
  const std::vector<GroupPath> both{group("plant-7"), group("plant-9")};
  const auto code = [&](const Bytes& bytes, std::span<const GroupPath> groups) {
    const auto opened = store.open_approval(bytes, groups);
    return opened.has_value() ? Code::ok : opened.error().code;
  };
  const Bytes wide = seal(Kind::approval, as_bytes("yes"), key_of(11));
  EXPECT_EQ(as_text(store.open_approval(wide, both).value().payload), "yes");
  const Bytes limited = seal(Kind::approval, as_bytes("yes"), key_of(12));
  EXPECT_EQ(code(limited, std::span(both).first(1)), Code::ok);
  EXPECT_EQ(code(limited, both), Code::untrusted_key);
  EXPECT_NE(store.open_approval(limited, both).error().message.find("does not reach group plant-9"), std::string::npos);
  EXPECT_EQ(code(seal(Kind::approval, as_bytes("yes"), key_of(21)), both), Code::untrusted_key) << "the gate key";
  EXPECT_EQ(code(seal(Kind::manifest, as_bytes("yes"), key_of(11)), both), Code::malformed);
  Bytes changed = wide;
  changed.back() ^= 1;
  EXPECT_EQ(code(changed, both), Code::bad_signature);
}

TEST(TrustStore, TheRoleApproveTakesApprovalsFromTheReleaseKeys) {
  RootDocument root = document();
  root.keys.push_back({key_of(31).public_key(), "plant-7/#", ""});
  root.roles.push_back({RoleName::approve, 1, {id_of(31)}});
  const auto store = TrustStore::from_pinned(seal_root(root, {1, 2})).value();
  EXPECT_EQ(store.root().approving_role(), RoleName::approve);
  const std::vector<GroupPath> near{group("plant-7/line-a")};
  const std::vector<GroupPath> far{group("plant-9")};
  EXPECT_TRUE(store.open_approval(seal(Kind::approval, as_bytes("yes"), key_of(31)), near).has_value());
  EXPECT_FALSE(store.open_approval(seal(Kind::approval, as_bytes("yes"), key_of(31)), far).has_value());
  EXPECT_FALSE(store.open_approval(seal(Kind::approval, as_bytes("yes"), key_of(11)), near).has_value());
  EXPECT_FALSE(store.open_manifest(seal(Kind::manifest, as_bytes("m"), key_of(31)), near.front()).has_value());
  EXPECT_EQ(document().approving_role(), RoleName::release);
}

TEST(TrustStore, OpensGatesByTheGateKeyOnly) {
  const auto store = pinned();
  const Bytes gate = seal(Kind::gate, as_bytes("g"), key_of(21));
  EXPECT_EQ(as_text(store.open_gate(gate).value().payload), "g");
  EXPECT_EQ(store.open_gate(seal(Kind::gate, as_bytes("g"), key_of(11))).error().code, Code::untrusted_key);
  EXPECT_EQ(store.open_gate(seal(Kind::manifest, as_bytes("g"), key_of(21))).error().code, Code::malformed);
}

}  // namespace
}  // namespace instar::trust

#include "core/trust/root.hpp"

#include <algorithm>
#include <set>

#include "core/base/limits.hpp"
#include "core/base/text.hpp"
#include "core/trust/flat.hpp"
#include "schemas/root_generated.h"

namespace instar::trust {
namespace {

constexpr auto kLastTimeMs = static_cast<std::uint64_t>(limits::kWallMsMax);
constexpr auto kLastRole = static_cast<std::uint8_t>(RoleName::approve);

tl::unexpected<Error> bad_root(const std::string& what) {
  return fail(Code::malformed, "root document: " + what);
}

std::string role_text(RoleName name) {
  switch (name) {
    case RoleName::root: return "role root";
    case RoleName::release: return "role release";
    case RoleName::gate: return "role gate";
    case RoleName::approve: return "role approve";
  }
  return "role ?";
}

// Whose keys can be limited to groups.
bool is_by_group(RoleName name) noexcept {
  return name == RoleName::release || name == RoleName::approve;
}

bool is_group_filter(std::string_view filter) {
  if (filter == "#") return true;
  if (filter.ends_with("/#")) filter.remove_suffix(2);
  return GroupPath::parse(filter).has_value();
}

Result<RootKey> read_key(const fb::RootKey& from) {
  RootKey key;
  const auto* bytes = from.public_key();
  auto parsed = PublicKey::from_bytes(ByteView(bytes->data(), bytes->size()));
  if (!parsed) return fail(with_context(std::move(parsed.error()), "root document: keys.public_key"));
  key.key = *parsed;
  if (from.key_id() != key.key.id()) return bad_root("keys.key_id is not the id of its public key");
  const auto filter = flat::view(from.group_filter());
  if (!filter.empty() && !is_group_filter(filter)) {
    return bad_root("keys.group_filter must be '#', a group, or a group and '/#'");
  }
  key.group_filter = filter;
  const auto label = flat::view(from.label());
  if (label.size() > limits::kNameBytesMax) return fail(Code::too_large, "root document: keys.label is over 64 bytes");
  if (!is_clean_text(label)) return bad_root("keys.label is not clean text");
  key.label = label;
  return key;
}

Result<Role> read_role(const fb::Role& from, const RootDocument& document) {
  const auto name = static_cast<std::uint8_t>(from.name());
  if (name > kLastRole) return flat::newer("root document: roles.name", name);
  Role role{static_cast<RoleName>(name), from.threshold(), {}};
  const std::string who = role_text(role.name);
  if (document.role(role.name) != nullptr) return bad_root(who + " stands in it twice");
  if (from.key_ids()->size() > limits::kRootKeysMax)
    return fail(Code::too_large, "root document: " + who + " has over 32 keys");
  role.key_ids = flat::numbers(from.key_ids());
  if (std::set<KeyId>(role.key_ids.begin(), role.key_ids.end()).size() != role.key_ids.size()) {
    return bad_root(who + " names a key twice");
  }
  if (role.threshold < 1 || role.threshold > role.key_ids.size()) {
    return bad_root(who + " needs " + std::to_string(role.threshold) + " of " + std::to_string(role.key_ids.size()) +
                    " keys");
  }
  for (const KeyId id : role.key_ids) {
    const auto key = std::ranges::find(document.keys, id, [](const RootKey& k) { return k.key.id(); });
    if (key == document.keys.end()) return bad_root(who + " names a key that is not in the document");
    if (!key->group_filter.empty() && !is_by_group(role.name)) {
      return bad_root(who + " has a key with a group filter; only release and approve keys can be limited to groups");
    }
  }
  return role;
}

Status read_header(const fb::Root& from, RootDocument& to) {
  if (from.format() == 0) return bad_root("format is 0");
  if (from.format() > 1) return flat::newer("root document: format", from.format());
  if (from.version() == 0) return bad_root("version is 0, the first is 1");
  to.version = from.version();
  if (from.issued_ms() > kLastTimeMs) return bad_root("issued_ms is after the year 9999");
  if (from.expires_ms() > kLastTimeMs) return bad_root("expires_ms is after the year 9999");
  to.issued = {static_cast<std::int64_t>(from.issued_ms())};
  to.expires = {static_cast<std::int64_t>(from.expires_ms())};
  if ((from.previous() == nullptr) != (to.version == 1)) {
    return bad_root("previous must be there from version 2 on, and not in version 1");
  }
  if (from.previous() != nullptr) {
    to.previous = Hash256::from_bytes(ByteView(from.previous()->bytes()->data(), sizeof(Hash256::bytes)));
  }
  return {};
}

fb::Hash256 to_flat(const Hash256& hash) {
  return fb::Hash256(flatbuffers::span<const std::uint8_t, 32>(hash.bytes));
}

}  // namespace

const Role* RootDocument::role(RoleName name) const noexcept {
  const auto found = std::ranges::find(roles, name, &Role::name);
  return found == roles.end() ? nullptr : &*found;
}

std::vector<AuthorizedKey> RootDocument::authorized(RoleName name, const GroupPath* group) const {
  std::vector<AuthorizedKey> out;
  const Role* const found = role(name);
  if (found == nullptr) return out;
  for (const RootKey& key : keys) {
    const KeyId id = key.key.id();
    if (std::ranges::find(found->key_ids, id) == found->key_ids.end()) continue;
    const bool limited = is_by_group(name) && group != nullptr && !key.group_filter.empty();
    if (limited && !group->matches(key.group_filter)) continue;
    out.push_back({id, key.key});
  }
  return out;
}

ReleaseKeys RootDocument::release_keys() const {
  ReleaseKeys out;
  const Role* const found = role(RoleName::release);
  if (found == nullptr) return out;
  for (const RootKey& key : keys) {
    if (std::ranges::find(found->key_ids, key.key.id()) == found->key_ids.end()) continue;
    out[key.key.id()] = key.group_filter.empty() ? "#" : key.group_filter;
  }
  return out;
}

RoleName RootDocument::approving_role() const noexcept {
  return role(RoleName::approve) == nullptr ? RoleName::release : RoleName::approve;
}

bool reach(const ReleaseKeys& keys, std::span<const KeyId> signers, const GroupPath& group) noexcept {
  return std::ranges::all_of(signers, [&](const KeyId id) {
    const auto key = keys.find(id);
    return key != keys.end() && group.matches(key->second);
  });
}

bool replaces(const ReleaseKeys& after, const ReleaseKeys& before) noexcept {
  return std::ranges::any_of(before, [&](const auto& key) {
    const auto same = after.find(key.first);
    return same == after.end() || same->second != key.second;
  });
}

Bytes encode_root(const RootDocument& document) {
  flatbuffers::FlatBufferBuilder builder(1024);
  std::vector<flatbuffers::Offset<fb::RootKey>> keys;
  for (const RootKey& key : document.keys) {
    const auto bytes = builder.CreateVector(key.key.bytes.data(), key.key.bytes.size());
    const auto filter = key.group_filter.empty() ? 0 : builder.CreateString(key.group_filter);
    const auto label = key.label.empty() ? 0 : builder.CreateString(key.label);
    keys.push_back(fb::CreateRootKey(builder, key.key.id(), bytes, filter, label));
  }
  std::vector<flatbuffers::Offset<fb::Role>> roles;
  for (const Role& role : document.roles) {
    const auto ids = builder.CreateVector(role.key_ids);
    const auto threshold = static_cast<std::uint8_t>(std::min<std::uint32_t>(role.threshold, 255));
    roles.push_back(fb::CreateRole(builder, static_cast<fb::RoleName>(role.name), threshold, ids));
  }
  const auto all_keys = builder.CreateVector(keys);
  const auto all_roles = builder.CreateVector(roles);
  const fb::Hash256 previous = to_flat(document.previous.value_or(Hash256{}));
  const auto root = fb::CreateRoot(builder, 1, document.version, static_cast<std::uint64_t>(document.issued.value),
                                   static_cast<std::uint64_t>(document.expires.value), all_keys, all_roles,
                                   document.previous.has_value() ? &previous : nullptr);
  builder.Finish(root, fb::RootIdentifier());
  return flat::take(builder);
}

Result<RootDocument> decode_root(ByteView payload) {
  INSTAR_TRY(const auto message, flat::open<fb::Root>(payload, "root document", fb::RootIdentifier()));
  RootDocument document;
  INSTAR_CHECK(read_header(*message, document));
  if (message->keys()->size() > limits::kRootKeysMax) return fail(Code::too_large, "root document: over 32 keys");
  std::set<KeyId> ids;
  for (const auto* from : *message->keys()) {
    INSTAR_TRY(auto key, read_key(*from));
    if (!ids.insert(key.key.id()).second) return bad_root("a key stands in it twice");
    document.keys.push_back(std::move(key));
  }
  if (message->roles()->size() > kLastRole + 1U) return bad_root("more roles than root, release, gate and approve");
  for (const auto* from : *message->roles()) {
    INSTAR_TRY(auto role, read_role(*from, document));
    document.roles.push_back(std::move(role));
  }
  for (const auto name : {RoleName::root, RoleName::release, RoleName::gate}) {
    if (document.role(name) == nullptr) return bad_root(role_text(name) + " is missing");
  }
  return document;
}

}  // namespace instar::trust

#include "publisher/release/keyring.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"
#include "files/files.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kSeedBytes = 32;
constexpr std::uint32_t kSecretMode = 0600;
constexpr std::uint32_t kFolderMode = 0700;

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

Status check_threshold(std::string_view role, std::uint32_t keys, std::uint32_t threshold) {
  if (keys >= 1 && threshold >= 1 && threshold <= keys) return {};
  return fail(Code::invalid_argument, std::string(role) + " threshold " + std::to_string(threshold) +
                                          " needs that many " + std::string(role) +
                                          " keys, and at least one; there are " + std::to_string(keys));
}

Status check_filter(const std::string& filter) {
  if (filter.empty() || filter == "#") return {};
  const std::string group = filter.ends_with("/#") ? filter.substr(0, filter.size() - 2) : filter;
  if (GroupPath::parse(group)) return {};
  return fail(Code::invalid_argument,
              "group filter '" + filter + "' must be a group like plant-7/line-a, or one with all below it: plant-7/#");
}

Result<trust::SecretKey> random_key() {
  INSTAR_TRY(const auto seed, files::random_bytes(kSeedBytes));
  return trust::SecretKey::from_seed(seed);
}

// The role `approve` is there once it has keys.
void add_to_role(trust::RootDocument& document, trust::RoleName name, trust::KeyId id) {
  if (document.role(name) == nullptr) document.roles.push_back({.name = name, .threshold = 1, .key_ids = {}});
  for (auto& role : document.roles) {
    if (role.name == name) role.key_ids.push_back(id);
  }
}

struct RolePlan {
  trust::RoleName role;
  std::uint32_t count;
  std::uint32_t threshold;
};

}  // namespace

Result<trust::SecretKey> load_secret_key(const std::string& path) {
  INSTAR_TRY(const auto text, files::read_secret_file(path, limits::kKeyFileBytesMax, "secret key"));
  auto key = trust::parse_secret_key(as_text(text));
  if (!key) return fail(with_context(key.error(), path));
  return key;
}

Result<std::vector<trust::SecretKey>> load_secret_keys(const std::vector<std::string>& paths) {
  std::vector<trust::SecretKey> keys;
  for (const auto& path : paths) {
    INSTAR_TRY(auto key, load_secret_key(path));
    for (const auto& other : keys) {
      if (other.public_key() == key.public_key())
        return fail(Code::invalid_argument, path + ": this key was already given");
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

Result<trust::PublicKey> load_public_key(const std::string& path) {
  INSTAR_TRY(const auto text, files::read_file(path, limits::kKeyFileBytesMax));
  auto key = trust::parse_public_key(as_text(text));
  if (!key) return fail(with_context(key.error(), path));
  return key;
}

Result<KeygenResult> generate_keys(const KeygenOptions& options, WallMs now) {
  INSTAR_CHECK(check_threshold("root", options.root_keys, options.root_threshold));
  INSTAR_CHECK(check_threshold("release", options.release_keys, options.release_threshold));
  INSTAR_CHECK(check_filter(options.release_filter));
  if (std::uint64_t{options.root_keys} + options.release_keys + 1 > limits::kRootKeysMax) {
    return fail(Code::invalid_argument,
                "a root document holds at most " + std::to_string(limits::kRootKeysMax) + " keys");
  }
  const std::vector<RolePlan> plans{{trust::RoleName::root, options.root_keys, options.root_threshold},
                                    {trust::RoleName::release, options.release_keys, options.release_threshold},
                                    {trust::RoleName::gate, 1, 1}};
  KeygenResult result;
  result.root_path = options.folder + "/root.instar";
  std::vector<trust::SecretKey> secrets;
  std::vector<trust::SecretKey> root_secrets;
  trust::RootDocument document;
  document.issued = now;
  if (options.expires_after_ms != 0) document.expires = now + options.expires_after_ms;
  for (const auto& plan : plans) {
    document.roles.push_back({.name = plan.role, .threshold = plan.threshold, .key_ids = {}});
    for (std::uint32_t i = 1; i <= plan.count; ++i) {
      const std::string name = std::string(role_text(plan.role)) + (plan.count == 1 ? "" : "-" + std::to_string(i));
      INSTAR_TRY(auto secret, random_key());
      const auto public_key = secret.public_key();
      const std::string label = options.label.empty() ? name : options.label + " " + name;
      result.keys.push_back({options.folder + "/" + name + ".key", options.folder + "/" + name + ".pub",
                             public_key.id(), plan.role, label});
      document.keys.push_back({public_key, plan.role == trust::RoleName::release ? options.release_filter : "", label});
      document.roles.back().key_ids.push_back(public_key.id());
      if (plan.role == trust::RoleName::root) root_secrets.push_back(secret);
      secrets.push_back(std::move(secret));
    }
  }
  std::vector<std::string> paths{result.root_path};
  for (const auto& key : result.keys) paths.insert(paths.end(), {key.path, key.public_path});
  for (const auto& path : paths) {
    if (exists(path))
      return fail(Code::invalid_argument,
                  path + " is there already, and keys are never overwritten: choose another folder");
  }
  const Bytes payload = trust::encode_root(document);
  const Bytes envelope = trust::seal(trust::Kind::root, payload, root_secrets);
  if (auto check = trust::TrustStore::from_pinned(envelope); !check) return fail(std::move(check.error()));
  result.root_hash = trust::digest(payload);

  INSTAR_CHECK(files::make_folders(options.folder, kFolderMode));
  for (std::size_t i = 0; i < result.keys.size(); ++i) {
    const auto& file = result.keys[i];
    INSTAR_CHECK(files::write_file_atomic(file.path, as_bytes(trust::format_secret_key(secrets[i])), kSecretMode));
    INSTAR_CHECK(files::write_file_atomic(file.public_path,
                                          as_bytes(trust::format_public_key(secrets[i].public_key(), file.label))));
  }
  INSTAR_CHECK(files::write_file_atomic(result.root_path, envelope));
  return result;
}

Result<std::int64_t> parse_root_expiry(std::string_view text) {
  if (text == "never") return 0;
  INSTAR_TRY(const auto ms, parse_duration_ms(text));
  if (ms > 0) return ms;
  return fail(Code::invalid_argument, "a root document must stay in force for some time: give 730d, or `never`");
}

Result<Bytes> next_root(ByteView current, const RootChange& change, std::span<const trust::SecretKey> signers,
                        WallMs now) {
  if (signers.empty())
    return fail(Code::invalid_argument, "a root document needs signatures: give the root keys with --key");
  INSTAR_TRY(auto trust_store, trust::TrustStore::from_pinned(current));
  trust::RootDocument next = trust_store.root();
  INSTAR_TRY(const auto envelope, trust::parse_envelope(current));
  next.previous = envelope.payload_hash;
  next.version += 1;
  next.issued = now;
  next.expires = change.expires_after_ms == 0 ? WallMs{0} : now + change.expires_after_ms;
  for (const auto id : change.remove) {
    const auto removed = std::erase_if(next.keys, [&](const trust::RootKey& key) { return key.key.id() == id; });
    if (removed == 0) return fail(Code::not_found, "the root document has no key " + trust::key_text(id));
    for (auto& role : next.roles) std::erase(role.key_ids, id);
  }
  std::erase_if(next.roles,
                [](const trust::Role& role) { return role.name == trust::RoleName::approve && role.key_ids.empty(); });
  for (const auto& added : change.add) {
    INSTAR_CHECK(check_filter(added.group_filter));
    for (const auto& key : next.keys) {
      if (key.key == added.key)
        return fail(Code::invalid_argument,
                    "the root document holds key " + trust::key_text(added.key.id()) + " already");
    }
    next.keys.push_back({added.key, added.group_filter, added.label});
    add_to_role(next, added.role, added.key.id());
  }
  if (change.approve_threshold && next.role(trust::RoleName::approve) == nullptr)
    return fail(Code::invalid_argument, "the root document has no approve keys: add one with --add-approve-key");
  for (auto& role : next.roles) {
    if (role.name == trust::RoleName::root && change.root_threshold) role.threshold = *change.root_threshold;
    if (role.name == trust::RoleName::release && change.release_threshold) role.threshold = *change.release_threshold;
    if (role.name == trust::RoleName::approve && change.approve_threshold) role.threshold = *change.approve_threshold;
    INSTAR_CHECK(
        check_threshold(role_text(role.name), static_cast<std::uint32_t>(role.key_ids.size()), role.threshold));
  }
  Bytes sealed = trust::seal(trust::Kind::root, trust::encode_root(next), signers);
  auto status = trust_store.advance(sealed);
  if (!status) return fail(with_context(status.error(), "the new root document would not be accepted"));
  return sealed;
}

Result<trust::KeyId> parse_key_id(std::string_view text) {
  Bytes bytes;
  if (text.size() != 16 || !from_hex(text, bytes)) {
    return fail(Code::invalid_argument,
                "key id '" + std::string(text) + "' must be 16 hex digits, as `instar root show` prints it");
  }
  trust::KeyId id = 0;
  for (std::size_t i = 8; i-- > 0;) id = id << 8 | bytes[i];
  return id;
}

std::string_view role_text(trust::RoleName role) noexcept {
  switch (role) {
    case trust::RoleName::root: return "root";
    case trust::RoleName::release: return "release";
    case trust::RoleName::gate: return "gate";
    case trust::RoleName::approve: return "approve";
  }
  return "unknown";
}

Json root_json(const trust::RootDocument& document) {
  Json keys = Json::array();
  for (const auto& key : document.keys) {
    keys.push_back({{"id", trust::key_text(key.key.id())},
                    {"public_key", to_hex(key.key.bytes)},
                    {"group_filter", key.group_filter},
                    {"label", key.label}});
  }
  Json roles = Json::array();
  for (const auto& role : document.roles) {
    Json ids = Json::array();
    for (const auto id : role.key_ids) ids.push_back(trust::key_text(id));
    roles.push_back(
        {{"role", std::string(role_text(role.name))}, {"threshold", role.threshold}, {"keys", std::move(ids)}});
  }
  return {{"version", document.version},
          {"issued_ms", document.issued.value},
          {"expires_ms", document.expires.value},
          {"previous", document.previous ? Json(document.previous->hex()) : Json()},
          {"keys", std::move(keys)},
          {"roles", std::move(roles)}};
}

std::string root_text(const trust::RootDocument& document) {
  Fields fields;
  fields.add("root version", std::to_string(document.version));
  fields.add("issued", local_time(document.issued));
  fields.add("expires", local_time(document.expires));
  if (document.previous) fields.add("follows", document.previous->hex());
  for (const auto& role : document.roles) {
    fields.add("role " + std::string(role_text(role.name)),
               std::to_string(role.threshold) + " of " + count_of(role.key_ids.size(), "key") + " must sign");
  }
  Table table;
  table.column("KEY");
  table.column("ROLE");
  table.column("GROUPS");
  table.column("LABEL");
  for (const auto& key : document.keys) {
    std::string roles;
    bool has_groups = false;
    for (const auto& role : document.roles) {
      if (std::ranges::find(role.key_ids, key.key.id()) == role.key_ids.end()) continue;
      roles += (roles.empty() ? "" : ", ") + std::string(role_text(role.name));
      has_groups |= role.name == trust::RoleName::release || role.name == trust::RoleName::approve;
    }
    const std::string groups = !has_groups ? "-" : key.group_filter.empty() ? "all" : key.group_filter;
    table.row({trust::key_text(key.key.id()), roles, groups, key.label});
  }
  return fields.str() + "\n" + table.str();
}

}  // namespace instar::publisher

// Key files and root documents as an operator keeps them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/trust/keys.hpp"
#include "core/trust/root.hpp"
#include "core/trust/signatures.hpp"
#include "publisher/console/console.hpp"

namespace instar::publisher {

// Errors name the file. A secret key file that others can read is refused.
[[nodiscard]] Result<trust::SecretKey> load_secret_key(const std::string& path);
[[nodiscard]] Result<std::vector<trust::SecretKey>> load_secret_keys(const std::vector<std::string>& paths);
[[nodiscard]] Result<trust::PublicKey> load_public_key(const std::string& path);

struct KeygenOptions {
  std::string folder;
  std::uint32_t root_keys = 1;
  std::uint32_t root_threshold = 1;
  std::uint32_t release_keys = 1;
  std::uint32_t release_threshold = 1;
  std::string release_filter;         // group filter of every release key; empty = all groups
  std::string label;                  // each key's label starts with it
  std::int64_t expires_after_ms = 0;  // 0 = never
};

struct KeyFile {
  std::string path;         // of the secret key
  std::string public_path;  // of the public one
  trust::KeyId id = 0;
  trust::RoleName role = trust::RoleName::root;
  std::string label;
};

struct KeygenResult {
  std::vector<KeyFile> keys;
  std::string root_path;
  Hash256 root_hash;
};

// Makes the folder (0700), a secret (0600) and a public file for each key, and root document 1, `root.instar`, signed
// by every root key. There is one gate key, which is the broker's. Errors: invalid_argument (thresholds; a file is
// already there, and nothing is overwritten).
[[nodiscard]] Result<KeygenResult> generate_keys(const KeygenOptions& options, WallMs now);

struct RootChange {
  struct AddedKey {
    trust::RoleName role = trust::RoleName::release;
    trust::PublicKey key;
    std::string group_filter;
    std::string label;
  };
  std::vector<AddedKey> add;
  std::vector<trust::KeyId> remove;
  std::optional<std::uint32_t> root_threshold;
  std::optional<std::uint32_t> release_threshold;
  std::int64_t expires_after_ms = 0;  // 0 = never
  std::optional<std::uint32_t> approve_threshold;
};

// The envelope of the version after `current`, signed by `signers`, who must meet the root thresholds of both versions.
// How long root documents stay in force when nothing else is said.
inline constexpr const char* kRootExpiresDefault = "730d";
// "730d", or "never": 0. Errors: invalid_argument (no time, or none at all).
[[nodiscard]] Result<std::int64_t> parse_root_expiry(std::string_view text);

[[nodiscard]] Result<Bytes> next_root(ByteView current, const RootChange& change,
                                      std::span<const trust::SecretKey> signers, WallMs now);

// A key id as people type it, and as trust::key_text writes it: 16 hex digits.
[[nodiscard]] Result<trust::KeyId> parse_key_id(std::string_view text);
[[nodiscard]] std::string_view role_text(trust::RoleName role) noexcept;

// The whole document, for --json, and for people.
[[nodiscard]] Json root_json(const trust::RootDocument& document);
[[nodiscard]] std::string root_text(const trust::RootDocument& document);

}  // namespace instar::publisher

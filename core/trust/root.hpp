// The root document: keys, roles, thresholds, and how one document is replaced by the next.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/trust/envelope.hpp"

namespace instar::trust {

// `approve` may be absent: the keys of `release` approve then.
enum class RoleName : std::uint8_t { root = 0, release = 1, gate = 2, approve = 3 };

struct RootKey {
  PublicKey key;
  std::string group_filter;  // of release and approve keys only; empty = all groups
  std::string label;
};

struct Role {
  RoleName name = RoleName::root;
  std::uint32_t threshold = 1;
  std::vector<KeyId> key_ids;
};

// The release keys of a root document, and the filter of each: the groups that it reaches.
using ReleaseKeys = std::map<KeyId, std::string>;
// Each of the signers is among `keys` and reaches the group.
[[nodiscard]] bool reach(const ReleaseKeys& keys, std::span<const KeyId> signers, const GroupPath& group) noexcept;
// A key of `before` is gone, or has another reach: what it signed sets no bar to what comes after it. New keys beside
// the old ones change nothing.
[[nodiscard]] bool replaces(const ReleaseKeys& after, const ReleaseKeys& before) noexcept;

struct RootDocument {
  std::uint32_t version = 1;
  WallMs issued;
  WallMs expires;  // 0 = never
  std::vector<RootKey> keys;
  std::vector<Role> roles;
  std::optional<Hash256> previous;  // payload hash of version-1's document

  [[nodiscard]] const Role* role(RoleName name) const noexcept;
  // The keys of a role. For release and approve with a `group`, only those whose filter allows the group.
  [[nodiscard]] std::vector<AuthorizedKey> authorized(RoleName name, const GroupPath* group = nullptr) const;
  [[nodiscard]] ReleaseKeys release_keys() const;
  // Whose signatures an approval needs: `approve` where there is such a role, else `release`.
  [[nodiscard]] RoleName approving_role() const noexcept;
};

// The FlatBuffers payload of a document. The same document gives the same bytes.
[[nodiscard]] Bytes encode_root(const RootDocument& document);
// Checks limits, unique key ids, thresholds within the number of keys; root, release and gate must be there.
[[nodiscard]] Result<RootDocument> decode_root(ByteView payload);

// That the document expires within limits::kRootExpiryWarnMs of `now`, or has expired, and what to do; nullopt:
// neither.
[[nodiscard]] std::optional<std::string> expiry_warning(const RootDocument& root, WallMs now);

// The version that a root document says it has, when enough of the root keys that it names itself have signed it. That
// is no trust: it tells only whether asking for the versions before it is of use. Errors: those of the envelope and of
// decode_root(); bad_signature, untrusted_key.
[[nodiscard]] Result<std::uint32_t> claimed_version(ByteView envelope);

// What a verifier holds: the newest root document to which it has a chain.
class TrustStore {
 public:
  // Starts from root 1, which is pinned at provisioning and signed by its own root threshold. A later version is
  // accepted too, because a device reloads what it has persisted.
  [[nodiscard]] static Result<TrustStore> from_pinned(ByteView envelope);

  // Moves on to root N+1, which the root thresholds of N and of N+1 must have signed. The same version with the same
  // bytes is ok and changes nothing. Errors: stale (older), malformed (a version was skipped: fetch the ones between),
  // bad_signature, untrusted_key.
  [[nodiscard]] Status advance(ByteView envelope);

  [[nodiscard]] const RootDocument& root() const noexcept { return root_; }
  // The envelope of root(), to persist.
  [[nodiscard]] const Bytes& envelope() const noexcept { return envelope_; }

  // Verifies and returns the payload with its hash. `group`: the group of the topic on which it was received.
  [[nodiscard]] Result<Envelope> open_manifest(ByteView envelope, const GroupPath& group) const;
  [[nodiscard]] Result<Envelope> open_gate(ByteView envelope) const;
  // The groups of a device, signed by the role `release`, whatever the keys reach: reaches() answers that.
  [[nodiscard]] Result<Envelope> open_assignment(ByteView envelope) const;
  // Who may be a device, signed by the same role.
  [[nodiscard]] Result<Envelope> open_enrolment(ByteView envelope) const;
  // An operator's yes to a rollout of these groups: by keys of approving_role(), each of which reaches all of them.
  [[nodiscard]] Result<Envelope> open_approval(ByteView envelope, std::span<const GroupPath> groups) const;
  // Of an envelope that open_manifest(), open_assignment() or open_enrolment() has opened: the filters of all its
  // signers' keys include `group`. Errors: untrusted_key, with the key and its filter.
  [[nodiscard]] Status reaches(const Envelope& envelope, const GroupPath& group) const;

 private:
  RootDocument root_;
  Bytes envelope_;
  Hash256 payload_hash_;
};

}  // namespace instar::trust

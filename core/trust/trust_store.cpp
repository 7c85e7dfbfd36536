#include <algorithm>

#include "core/base/limits.hpp"
#include "core/trust/root.hpp"
#include "core/trust/signatures.hpp"

namespace instar::trust {
namespace {

std::uint32_t threshold_of(const RootDocument& document, RoleName name) {
  const Role* const role = document.role(name);
  return role == nullptr ? UINT32_MAX : role->threshold;
}

// Checks the root threshold of `document` for `envelope`. Signatures of other keys are ignored.
Status check_by(const RootDocument& document, const Envelope& envelope) {
  INSTAR_TRY(const auto count,
             count_signatures(envelope, Kind::root, document.authorized(RoleName::root), Strangers::passed_over));
  return require_threshold(Kind::root, count, threshold_of(document, RoleName::root));
}

}  // namespace

std::optional<std::string> expiry_warning(const RootDocument& root, WallMs now) {
  if (root.expires.value == 0 || root.expires - now > limits::kRootExpiryWarnMs) return std::nullopt;
  const bool is_over = root.expires <= now;
  return "root document " + std::to_string(root.version) + (is_over ? " expired on " : " expires on ") +
         utc_text(root.expires) +
         (is_over ? " (" + span_text(now - root.expires) + " ago)" : ", in " + span_text(root.expires - now)) +
         ": make its successor (instar root new-version) and give it to the broker (instar root publish)";
}

Result<std::uint32_t> claimed_version(ByteView envelope) {
  INSTAR_TRY(const auto store, TrustStore::from_pinned(envelope));
  return store.root().version;
}

Result<TrustStore> TrustStore::from_pinned(ByteView envelope) {
  INSTAR_TRY(const auto parsed, parse_envelope(envelope));
  // Only this document is read before it is verified: its own keys verify it, and it is pinned.
  if (parsed.kind != Kind::root) return fail(Code::malformed, "pinned root: this is no root document");
  INSTAR_TRY(auto document, decode_root(parsed.payload));
  if (document.version == 1) {
    INSTAR_CHECK(verify_threshold(parsed, Kind::root, document.authorized(RoleName::root),
                                  threshold_of(document, RoleName::root)));
  } else {
    // A later document still has the signatures of earlier keys, which it does not name any more.
    INSTAR_CHECK(check_by(document, parsed));
  }
  TrustStore store;
  store.root_ = std::move(document);
  store.envelope_ = to_bytes(envelope);
  store.payload_hash_ = parsed.payload_hash;
  return store;
}

Status TrustStore::advance(ByteView envelope) {
  if (as_text(envelope) == as_text(envelope_)) return {};
  INSTAR_TRY(const auto parsed, parse_envelope(envelope));
  const std::string held = std::to_string(root_.version);
  if (root_.previous.has_value() && parsed.payload_hash == *root_.previous) {
    return fail(Code::stale,
                "root document: version " + std::to_string(root_.version - 1) + ", but " + held + " is held already");
  }
  if (auto status = check_by(root_, parsed); !status) {
    if (status.error().code != Code::untrusted_key) return fail(std::move(status.error()));
    return fail(
        with_context(std::move(status.error()), "not signed by the keys of the root document held here (version " +
                                                    held + "; fetch the versions between, if there are any)"));
  }
  INSTAR_TRY(auto next, decode_root(parsed.payload));
  if (next.version < root_.version) {
    return fail(Code::stale,
                "root document: version " + std::to_string(next.version) + ", but " + held + " is held already");
  }
  // The same document again, perhaps with other signatures, changes nothing.
  if (parsed.payload_hash == payload_hash_) return {};
  if (next.version == root_.version) {
    return fail(Code::stale, "root document: another document of version " + held +
                                 " is held already; publish the change as version " +
                                 std::to_string(root_.version + 1ULL));
  }
  if (next.version - root_.version > 1) {
    return fail(Code::malformed, "root document: version " + std::to_string(next.version) + " skips versions after " +
                                     held + "; fetch the ones between first");
  }
  if (next.previous != payload_hash_) {
    return fail(Code::malformed, "root document: version " + std::to_string(next.version) +
                                     " does not follow the version " + held +
                                     " that is held (its `previous` names another document)");
  }
  INSTAR_CHECK(check_by(next, parsed));
  auto both = root_.authorized(RoleName::root);
  const auto added = next.authorized(RoleName::root);
  both.insert(both.end(), added.begin(), added.end());
  INSTAR_CHECK(verify_threshold(parsed, Kind::root, both, 1));
  root_ = std::move(next);
  envelope_ = to_bytes(envelope);
  payload_hash_ = parsed.payload_hash;
  return {};
}

Result<Envelope> TrustStore::open_manifest(ByteView envelope, const GroupPath& group) const {
  INSTAR_TRY(auto parsed, parse_envelope(envelope));
  INSTAR_CHECK(verify_threshold(parsed, Kind::manifest, root_.authorized(RoleName::release, &group),
                                threshold_of(root_, RoleName::release)));
  return parsed;
}

Result<Envelope> TrustStore::open_assignment(ByteView envelope) const {
  INSTAR_TRY(auto parsed, parse_envelope(envelope));
  INSTAR_CHECK(verify_threshold(parsed, Kind::assignment, root_.authorized(RoleName::release),
                                threshold_of(root_, RoleName::release)));
  return parsed;
}

Result<Envelope> TrustStore::open_enrolment(ByteView envelope) const {
  INSTAR_TRY(auto parsed, parse_envelope(envelope));
  INSTAR_CHECK(verify_threshold(parsed, Kind::enrolment, root_.authorized(RoleName::release),
                                threshold_of(root_, RoleName::release)));
  return parsed;
}

Result<Envelope> TrustStore::open_approval(ByteView envelope, std::span<const GroupPath> groups) const {
  INSTAR_TRY(auto parsed, parse_envelope(envelope));
  const auto name = root_.approving_role();
  INSTAR_CHECK(verify_threshold(parsed, Kind::approval, root_.authorized(name), threshold_of(root_, name)));
  for (const auto& group : groups) {
    const auto reaching = root_.authorized(name, &group);
    for (const auto& signature : parsed.signatures) {
      if (std::ranges::find(reaching, signature.key_id, &AuthorizedKey::key_id) != reaching.end()) continue;
      return fail(Code::untrusted_key, "approval: signed by key " + key_text(signature.key_id) +
                                           ", which does not reach group " + group.str() +
                                           "; sign with a key that reaches all groups of the release");
    }
  }
  return parsed;
}

Status TrustStore::reaches(const Envelope& envelope, const GroupPath& group) const {
  const auto keys = root_.release_keys();
  for (const auto& signature : envelope.signatures) {
    const KeyId id = signature.key_id;
    if (reach(keys, std::span(&id, 1), group)) continue;
    const auto key = keys.find(id);
    return fail(Code::untrusted_key,
                std::string(kind_name(envelope.kind)) + ": signed by key " + key_text(id) +
                    (key == keys.end() ? ", which is no release key" : ", which is for " + key->second + " alone") +
                    "; sign with a key that reaches group " + group.str());
  }
  return {};
}

Result<Envelope> TrustStore::open_gate(ByteView envelope) const {
  INSTAR_TRY(auto parsed, parse_envelope(envelope));
  INSTAR_CHECK(
      verify_threshold(parsed, Kind::gate, root_.authorized(RoleName::gate), threshold_of(root_, RoleName::gate)));
  return parsed;
}

}  // namespace instar::trust

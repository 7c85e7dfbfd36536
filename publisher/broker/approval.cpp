#include "publisher/broker/approval.hpp"

#include <utility>

#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

constexpr std::uint32_t kManifestTurnMs = 100;

// The manifest with this hash, as it stands retained on one of the groups' topics.
Outcome<ManifestAsSent> find_manifest(Session& session, const std::string& hash, const std::string& product,
                                      const std::vector<std::string>& groups) {
  for (const auto& name : groups) {
    INSTAR_TRY(const auto group, GroupPath::parse(name));
    INSTAR_CHECK(session.subscribe(session.topics().manifest(group, product)));
  }
  const auto start = monotonic_now();
  while (monotonic_now() - start < session.timeout_ms()) {
    if (interrupted()) return fail(Exit::interrupted, Code::unavailable, "interrupted; nothing was approved");
    if (session.fault()) return fail(*session.fault());
    session.waits_for("the manifest, which the approval is for");
    const auto event = session.next(kManifestTurnMs);
    if (!event || event->kind != mqtt::EventKind::message) continue;
    auto release = read_manifest_as_sent(event->message.payload);
    if (release && release->hash.hex() == hash) return std::move(*release);
  }
  return fail(Exit::refused, Code::not_found,
              "the manifest " + hash +
                  " is on none of its groups' topics, and nothing is signed that was not read. May this user read "
                  "them? A release that another one has replaced needs no approval any more");
}

}  // namespace

Outcome<std::optional<SignedApproval>> sign_approval(Session& session, const std::string& rollout,
                                                     const std::string& name, std::uint32_t wave,
                                                     const std::vector<trust::SecretKey>& keys) {
  INSTAR_TRY(const auto data, session.request("getRollout", {{"rollout", rollout}}));
  const auto hash = get_text(data, "manifest");
  if (!hash.starts_with(rollout)) {
    return fail(Exit::refused, Code::refused,
                "the broker names manifest '" + hash + "' for rollout " + rollout + ": nothing is signed");
  }
  const auto product = get_text(data, "product");
  if (!is_product(product))
    return fail(Exit::refused, Code::refused, "the broker names no product for rollout " + rollout);
  INSTAR_TRY(auto release, find_manifest(session, hash, product, get_texts(data, "groups")));
  const bool is_called_so =
      release.manifest.release == name || release.manifest.product + "/" + release.manifest.release == name;
  if (!is_called_so && !hash.starts_with(name)) {
    return fail(Exit::refused, Code::refused,
                "the broker says that " + name + " is rollout " + rollout + ", but the manifest of that is release " +
                    release.manifest.release + ": nothing is signed");
  }
  if (!release.manifest.policy.approval_signed) return std::nullopt;
  SignedApproval out;
  out.wave = wave > 0 ? wave - 1 : static_cast<std::uint32_t>(get_number(data, "wave", 1)) - 1;
  INSTAR_TRY(out.envelope, seal_approval(release, out.wave, keys, wall_now()));
  out.manifest = std::move(release.manifest);
  return out;
}

}  // namespace instar::publisher

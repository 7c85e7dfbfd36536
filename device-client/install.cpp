#include "device-client/install.hpp"

#include <poll.h>

#include <algorithm>
#include <map>

#include "core/base/limits.hpp"
#include "core/revision/history.hpp"
#include "core/trust/envelope.hpp"
#include "core/trust/root.hpp"
#include "device-client/bundle_link.hpp"
#include "device-client/owner.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

constexpr int kTurnMs = 1'000;
// A device that has not begun after so long does not accept the release, and its log says why.
constexpr std::int64_t kBeginMs = 20'000;

Result<GroupPath> group_for(const wire::Manifest& manifest, const Config& config) {
  for (const auto& own : config.groups) {
    for (const auto& group : own.with_parents()) {
      if (std::ranges::find(manifest.groups, group) != manifest.groups.end()) return group;
    }
  }
  std::string groups;
  for (const auto& group : manifest.groups) groups += (groups.empty() ? "" : ", ") + group.str();
  return fail(Code::refused,
              "release " + manifest.release + " is for " + groups + ", and this device is in none of these groups");
}

// By the version that each says it has: the machine holds them against the one before.
Result<std::map<std::uint32_t, Bytes>> older_roots(const files::Bundle& bundle) {
  INSTAR_TRY(auto documents, bundle.all(files::BundlePart::older_root, limits::kMessageBytesMax));
  std::map<std::uint32_t, Bytes> out;
  for (auto& document : documents) {
    INSTAR_TRY(const auto version, trust::claimed_version(document));
    out[version] = std::move(document);
  }
  return out;
}

// Early, and in words: the daemon would only wait for what does not come.
Status check_chain(ByteView root, const std::map<std::uint32_t, Bytes>& older, const Config& config,
                   const std::optional<DeviceStatus>& status) {
  const auto pinned = files::read_file(config.root_file, limits::kMessageBytesMax);
  const auto held = status   ? trust::claimed_version(status->state.root)
                    : pinned ? trust::claimed_version(*pinned)
                             : Result<std::uint32_t>(fail(pinned.error()));
  const auto brought = trust::claimed_version(root);
  if (!held || !brought) return {};
  for (auto version = *held + 1; version < *brought; ++version) {
    if (older.contains(version)) continue;
    return fail(Code::untrusted_key, "the bundle has root document " + std::to_string(*brought) +
                                         ", this device holds " + std::to_string(*held) + ", and version " +
                                         std::to_string(version) +
                                         " is in neither: make the bundle again with the versions between (instar "
                                         "publish --bundle FILE --root-chain FILE)");
  }
  return {};
}

Status check(const wire::Manifest& manifest, const ManifestId& hash, const Config& config,
             const std::optional<DeviceStatus>& status) {
  if (manifest.product != config.product)
    return fail(Code::refused, "release " + manifest.release + " is for product " + manifest.product +
                                   ", this device is a " + config.product);
  INSTAR_TRY(const auto word, read_owner_word(config.state_dir));
  if (word.hold)
    return fail(Code::refused, "updates are held on this device; let them go on first: instar-device unhold");
  if (!status) return {};
  const auto& state = status->state;
  if (state.revisions.current && state.revisions.current->info.manifest == hash)
    return fail(Code::refused, "release " + manifest.release + " runs already");
  const bool goes_on = state.revisions.candidate && state.revisions.candidate->info.manifest == hash;
  const revision::History history(state.history, state.revisions);
  if (goes_on || history.may_begin(manifest, hash)) return {};
  INSTAR_CHECK(history.check_sequence(manifest));
  return fail(Code::refused,
              "release " + manifest.release + " has been here before: publish it anew, with a higher sequence");
}

}  // namespace

Result<std::string> install(const std::string& path, DaemonParts parts, const std::optional<DeviceStatus>& status,
                            int stop_fd) {
  INSTAR_TRY(auto bundle, files::Bundle::open(path));
  INSTAR_TRY(auto root, bundle.only(files::BundlePart::root, limits::kMessageBytesMax));
  INSTAR_TRY(auto envelope, bundle.only(files::BundlePart::manifest, limits::kMessageBytesMax));
  INSTAR_TRY(auto older, older_roots(bundle));
  INSTAR_TRY(const auto parsed, trust::parse_envelope(envelope));
  // The manifest is not verified yet. This check only reports early what the daemon would refuse later.
  INSTAR_TRY(const auto manifest, wire::decode_manifest(parsed.payload));
  const ManifestId hash(parsed.payload_hash);
  INSTAR_CHECK(check(manifest, hash, parts.config, status));
  INSTAR_CHECK(check_chain(root, older, parts.config, status));
  INSTAR_TRY(const auto group, group_for(manifest, parts.config));
  INSTAR_TRY(auto link, BundleLink::make(std::move(bundle),
                                         {std::move(root), std::move(envelope), std::move(older), parts.config.topics,
                                          parts.config.device_id, group, manifest.product}));
  const auto* const bundle_link = link.get();
  parts.install = hash;
  parts.make_client = [&link](const mqtt::Options& /*options*/) { return std::move(link); };
  const auto clocks = parts.clocks;
  INSTAR_TRY(const auto daemon, Daemon::open(std::move(parts)));
  const auto began = clocks().monotonic;
  while (daemon->turn(stop_fd, kTurnMs)) {
    const auto view = daemon->machine().view();
    if (bundle_link->ending() && view.phase == "idle") {
      const auto& ending = *bundle_link->ending();
      if (ending.step != wire::Step::committed)
        return fail(ending.code, "release " + manifest.release + " did not come through: " + ending.reason);
      return "release " + manifest.release + " is committed as revision " + std::to_string(view.current_revision) +
             "; the broker hears of it when the device is connected";
    }
    pollfd stop{stop_fd, POLLIN, 0};
    if (::poll(&stop, 1, 0) == 1)
      return fail(Code::unavailable, "stopped half way: what is staged stays, the same command goes on where it was");
    if (view.phase == "idle" && !bundle_link->ending() && clocks().monotonic - began > kBeginMs)
      return fail(Code::refused, "the device does not take release " + manifest.release + "; its log above says why");
  }
  return fail(Code::io, "the state could not be written");
}

}  // namespace instar::device

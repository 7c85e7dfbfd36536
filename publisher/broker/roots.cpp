#include "publisher/broker/roots.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include "publisher/broker/broker_clock.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

// After so long without the document it is looked into.
constexpr std::int64_t kRootSilenceMs = 3'000;
constexpr std::uint32_t kRootPollMs = 200;
constexpr std::int64_t kFetchRootsMs = 5'000;

// Publishes one document and waits until the broker's state is as `is_there` wants it.
Outcome<RootState> send_root(Session& session, ByteView envelope, std::uint64_t version,
                             const std::function<bool(const RootState&)>& is_there) {
  const mqtt::Message message{session.topics().root(), to_bytes(envelope), wire::Qos::at_least_once, wire::Retain::yes};
  INSTAR_CHECK(session.publish(message));
  const auto start = monotonic_now();
  while (true) {
    INSTAR_TRY(auto state, ask_roots(session));
    if (is_there(state)) {
      session.waits_no_more();
      return state;
    }
    if (session.fault()) return fail(*session.fault());
    session.waits_for("the broker to take root document version " + std::to_string(version));
    if (monotonic_now() - start >= kRootSilenceMs) session.find_out_why({message, {}, false});
    if (monotonic_now() - start >= session.timeout_ms()) {
      return fail(Exit::refused, Code::refused,
                  "the broker did not take root document version " + std::to_string(version) + "; it holds version " +
                      std::to_string(state.version) +
                      ". Its log says why; publish the versions between in order, from the broker's upwards or from "
                      "the oldest that it keeps downwards, and see that this user may write to " +
                      session.topics().root());
    }
    static_cast<void>(session.next(kRootPollMs));
  }
}

}  // namespace

bool RootState::keeps(std::uint64_t asked) const noexcept {
  return std::ranges::any_of(kept, [&](const auto& range) { return range.first <= asked && asked <= range.second; });
}

RootState read_root_state(const Json& answer) {
  RootState state;
  state.version = get_number(answer, "root_version");
  state.expires = get_time(answer, "root_expires_ms");
  for (const auto& range : get(answer, "root_chain")) {
    if (!range.is_array() || range.size() != 2) continue;
    if (!range[0].is_number_unsigned() || !range[1].is_number_unsigned()) continue;
    state.kept.emplace_back(range[0].get<std::uint64_t>(), range[1].get<std::uint64_t>());
  }
  const auto& behind = get(answer, "root_behind");
  state.devices_ahead = get_number(behind, "devices");
  state.newest_ahead = get_number(behind, "newest");
  return state;
}

Outcome<RootState> ask_roots(Session& session) {
  INSTAR_TRY(const auto answer, session.request("getVersion"));
  return read_root_state(answer);
}

std::string root_warnings(const RootState& state, WallMs now) {
  std::string text;
  trust::RootDocument root;
  root.version = static_cast<std::uint32_t>(state.version);
  root.expires = state.expires;
  if (const auto warning = trust::expiry_warning(root, now)) text += *warning + "\n";
  if (state.devices_ahead > 0) {
    text += "the broker holds root document " + std::to_string(state.version) + ", and " +
            std::to_string(state.devices_ahead) + " of its devices later ones, up to " +
            std::to_string(state.newest_ahead) +
            ": it was restored from older data; give it those (instar root publish)\n";
  }
  return text;
}

Outcome<RootOutcome> bring_root(Session& session, const trust::TrustStore& root, const std::vector<Bytes>& chain) {
  const auto version = root.root().version;
  INSTAR_TRY(const auto answer, session.request("getVersion"));
  const auto before = read_root_state(answer);
  RootOutcome outcome;
  outcome.version_before = outcome.version_now = before.version;
  if (before.version >= version) {
    if (before.version == version || before.kept.empty() || before.keeps(version)) return outcome;
    INSTAR_CHECK(
        send_root(session, root.envelope(), version, [&](const RootState& state) { return state.keeps(version); }));
    outcome.published = true;
    outcome.kept = version;
    return outcome;
  }
  INSTAR_CHECK(check_root_date(read_broker_clock(answer, wall_now()), root.root().issued));
  auto next = version - static_cast<std::uint32_t>(chain.size());
  for (const auto& envelope : chain) {
    const auto one = next++;
    if (one <= before.version || before.version == 0) continue;
    INSTAR_CHECK(send_root(session, envelope, one, [&](const RootState& state) { return state.version >= one; }));
  }
  INSTAR_TRY(const auto after, send_root(session, root.envelope(), version,
                                         [&](const RootState& state) { return state.version >= version; }));
  outcome.published = true;
  outcome.version_now = after.version;
  return outcome;
}

Outcome<std::vector<Bytes>> fetch_roots(Session& session, std::uint32_t newest) {
  INSTAR_TRY(const auto state, ask_roots(session));
  std::size_t wanted = 0;
  for (std::uint32_t version = 1; version < newest; ++version) wanted += state.keeps(version) ? 1 : 0;
  std::map<std::uint32_t, Bytes> found;
  if (wanted == 0) return std::vector<Bytes>{};
  INSTAR_CHECK(session.subscribe(session.topics().root_versions(), false));
  const auto start = monotonic_now();
  while (found.size() < wanted && monotonic_now() - start < kFetchRootsMs) {
    auto event = session.next(kRootPollMs);
    if (!event || event->kind != mqtt::EventKind::message) continue;
    const auto topic = session.topics().parse(event->message.topic);
    if (!topic || topic->kind != wire::TopicKind::root_version || topic->root_version >= newest) continue;
    found[topic->root_version] = std::move(event->message.payload);
  }
  std::vector<Bytes> out;
  for (auto& [version, envelope] : found) out.push_back(std::move(envelope));
  return out;
}

}  // namespace instar::publisher

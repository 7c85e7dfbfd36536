#include "publisher/broker/rollouts.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "publisher/broker/broker_clock.hpp"
#include "publisher/broker/pages.hpp"
#include "publisher/broker/rollout_screen.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

constexpr std::uint32_t kRolloutTurnMs = 100;
// How long to wait, after the first answer to a manifest, for a refusal for another of its groups.
constexpr std::int64_t kOtherGroupsMs = 300;
// A manifest without a word of the broker for so long is looked into.
constexpr std::int64_t kManifestSilenceMs = 3'000;

// The status message in an event, if it is one of `rollout`.
std::optional<RolloutStatus> status_in(const std::optional<mqtt::Event>& event, const std::string& topic,
                                       Json* document) {
  if (!event || event->kind != mqtt::EventKind::message || event->message.topic != topic) return std::nullopt;
  auto json = parse_json(as_text(event->message.payload), topic);
  if (!json) return std::nullopt;
  auto status = read_status(*json);
  if (document != nullptr) *document = std::move(*json);
  return status;
}

tl::unexpected<Failure> manifest_refused(const RolloutStatus& status) {
  const auto reason = status.reasons.empty() ? std::string("no reason given")
                                             : status.reasons.front().code + ": " + status.reasons.front().text;
  return fail(Exit::refused, Code::refused, "the broker refused the manifest: " + reason);
}

}  // namespace

Outcome<std::vector<RolloutStatus>> list_rollouts(Session& session) {
  std::vector<RolloutStatus> all;
  INSTAR_CHECK(for_each_row(session, "listRollouts", "rollouts", Json::object(),
                            [&](const Json& row) { all.push_back(read_status(row)); }));
  return all;
}

Outcome<NextSequence> next_sequence(Session& session, const std::string& product,
                                    const std::vector<GroupPath>& groups) {
  Json names = Json::array();
  for (const auto& group : groups) names.push_back(group.str());
  INSTAR_TRY(const auto data, session.request("nextSequence", {{"product", product}, {"groups", std::move(names)}}));
  const NextSequence next{get_number(data, "sequence"), get_number(data, "devices"),
                          get_number(data, "devices_refusing"), read_known_fleet(data)};
  if (next.sequence == 0) {
    return fail(Exit::refused, Code::unsupported,
                "the broker did not say which sequence comes next: give one with --sequence");
  }
  return next;
}

std::vector<const PackFile*> distinct_packs(const ArtifactFolders& artifacts) {
  std::vector<const PackFile*> packs;
  std::set<PackId> seen;
  for (const auto& [path, folder] : artifacts) {
    for (const auto& pack : folder.packs) {
      if (seen.insert(pack.id()).second) packs.push_back(&pack);
    }
  }
  return packs;
}

Outcome<std::vector<const PackFile*>> lacking_packs(Session& session, const std::vector<const PackFile*>& packs) {
  std::vector<const PackFile*> lacking;
  for (const auto* pack : packs) {
    const auto data = session.request("getPack", {{"pack", pack->id().hex()}});
    // The broker may answer with an error for a pack that it does not know. The upload shows what it lacks.
    if (!data && data.error().exit != Exit::refused) return fail(data.error());
    if (!data || !get_flag(*data, "complete")) lacking.push_back(pack);
  }
  return lacking;
}

Outcome<RolloutStatus> send_manifest(Session& session, const wire::Manifest& manifest, ByteView envelope,
                                     const std::string& rollout) {
  const std::string topic = session.topics().status(rollout);
  INSTAR_CHECK(session.subscribe(topic));
  mqtt::Message message;
  for (const auto& group : manifest.groups) {
    message = {session.topics().manifest(group, manifest.product), to_bytes(envelope), wire::Qos::at_least_once,
               wire::Retain::yes};
    INSTAR_CHECK(session.publish(message));
  }
  const auto start = monotonic_now();
  std::optional<RolloutStatus> accepted;
  MonotonicMs accepted_at;
  while (true) {
    if (interrupted()) return fail(Exit::interrupted, Code::unavailable, "interrupted; the manifest was sent");
    const auto now = monotonic_now();
    if (accepted && now - accepted_at >= kOtherGroupsMs) {
      session.waits_no_more();
      return std::move(*accepted);
    }
    if (session.fault()) return fail(*session.fault());
    if (!accepted && now - start >= session.timeout_ms()) {
      if (const auto lost = session.lost()) return fail(*lost);
      return fail(Exit::timed_out, Code::unavailable,
                  "the broker said nothing about rollout " + rollout + " on " + topic + ". May this user write to " +
                      session.topics().prefix() + "/manifest/#? `instar rollout list` shows whether it was taken" +
                      session.words_of_silence());
    }
    session.waits_for("the broker's word on the manifest");
    if (!accepted && now - start >= kManifestSilenceMs) session.find_out_why({message, {topic}, false});
    const auto event = session.next(kRolloutTurnMs);
    const auto status = status_in(event, topic, nullptr);
    if (!status) continue;
    if (status->state == "refused") return manifest_refused(*status);
    if (!accepted) accepted_at = now;
    accepted = status;
  }
}

Outcome<RolloutStatus> watch_rollout(Session& session, const Console& console, const std::string& rollout,
                                     std::int64_t timeout_ms) {
  const std::string topic = session.topics().status(rollout);
  INSTAR_CHECK(session.subscribe(topic));
  const bool redraw = console.out_is_terminal && !console.json && can_move_cursor();
  const auto start = monotonic_now();
  LiveScreen screen(console.out);
  std::optional<RolloutStatus> drawn;
  std::string line_before;
  while (true) {
    if (interrupted()) return fail(Exit::interrupted, Code::unavailable, "interrupted; the rollout goes on");
    if (timeout_ms > 0 && monotonic_now() - start >= timeout_ms) {
      return fail(
          Exit::timed_out, Code::unavailable,
          "rollout " + rollout + " is not over yet; it goes on. Look again with: instar rollout watch " + rollout);
    }
    if (session.fault()) return fail(*session.fault());
    const auto event = session.next(kRolloutTurnMs);
    Json document;
    const auto status = status_in(event, topic, &document);
    if (status) drawn = status;
    const auto size = redraw ? screen_size() : ScreenSize{};
    const bool is_resized = redraw && drawn && size != screen.size();
    if (redraw && (status || is_resized)) screen.draw(rollout_screen(*drawn, wall_now(), size), size);
    if (!status) continue;
    const auto line = console.json ? dump(document) : rollout_line(*status);
    if (!redraw && line != line_before) {
      console.out << line << "\n" << std::flush;
      line_before = line;
    }
    if (status->is_over()) return *status;
  }
}

}  // namespace instar::publisher

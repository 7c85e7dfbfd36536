#include "broker-plugin/status_json.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/limits.hpp"
#include "core/trust/signatures.hpp"
#include "core/wire/placement.hpp"

namespace instar::broker {
namespace {

Json groups_json(const std::vector<GroupPath>& groups) {
  Json out = Json::array();
  for (const auto& group : groups) out.push_back(group.str());
  return out;
}

Json reasons_json(const rollout::Counts& counts) {
  std::vector<std::pair<rollout::ReasonKey, std::uint64_t>> reasons(counts.reasons.begin(), counts.reasons.end());
  std::stable_sort(reasons.begin(), reasons.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  if (reasons.size() > limits::kStatusReasonsMax) reasons.resize(limits::kStatusReasonsMax);
  Json out = Json::array();
  for (const auto& [key, count] : reasons) {
    out.push_back({{"code", code_name(key.first)}, {"reason", key.second}, {"count", count}});
  }
  return out;
}

Json revision_json(const std::optional<wire::RevisionInfo>& revision, bool verbose) {
  if (!revision.has_value()) return nullptr;
  Json out{{"product", revision->product},
           {"release", revision->release},
           {"sequence", revision->sequence},
           {"rollout", revision->manifest.short_hex()}};
  if (!verbose) return out;
  out["artifacts"] = Json::array();
  for (const auto& artifact : revision->artifacts) out["artifacts"].push_back(artifact.hex());
  return out;
}

Json image_formats_json(const std::vector<wire::ImageFormat>& formats) {
  Json out = Json::array();
  for (const auto format : formats) out.push_back(wire::image_format_name(format));
  return out;
}

// `verbose`: everything; otherwise what a list needs.
void add_description(Json& out, const wire::Description& description, bool verbose) {
  out["product"] = description.product;
  out["groups"] = groups_json(description.groups);
  out["running"] = revision_json(description.running, verbose);
  if (!verbose) return;
  out["previous"] = revision_json(description.previous, verbose);
  out["architecture"] = description.architecture;
  out["kernel"] = description.kernel;
  out["client_version"] = description.client_version;
  out["memory_bytes"] = description.memory_bytes;
  out["free_bytes"] = description.free_bytes;
  out["metered"] = description.metered;
  out["root_version"] = description.root_version;
  out["highest_sequence"] = description.highest_sequence;
  out["degraded"] = description.degraded;
  out["pack_formats"] = description.pack_formats;
  out["image_formats"] = image_formats_json(description.image_formats);
  out["handlers"] = description.handlers;
  out["time_ms"] = description.time.value == 0 ? Json() : Json(description.time.value);
  out["clock"] = wire::clock_state_name(description.clock);
}

Json waves_json(const rollout::RolloutView& rollout) {
  Json out = Json::array();
  const auto& record = rollout.record;
  for (std::size_t i = 0; i < rollout.waves.size(); ++i) {
    const auto& counts = rollout.waves[i];
    const auto row = wire::wave_of(rollout.release->policy, i);
    const bool open = i < record.wave_opened.size();
    Json wave{{"wave", i + 1}, {"opened_ms", open ? Json(record.wave_opened[i].value) : Json()}};
    wave["share_bp"] = row.share_bp;
    wave["device_count"] = row.device_count;
    wave["named"] = row.devices.size();
    wave["admitted"] = counts.admitted;
    wave["seen"] = counts.seen();
    wave["silent"] = counts.unseen;
    wave["waiting"] = counts.waiting;
    wave["in_flight"] = counts.in_flight;
    wave["committed"] = counts.committed;
    wave["failed"] = counts.failed;
    wave["retrying"] = counts.retrying;
    wave["refused"] = counts.left_out;
    wave["late"] = counts.late;
    wave["success_bp"] = row.success_bp;
    wave["quorum_bp"] = row.quorum_bp;
    wave["soak_s"] = row.soak_s;
    wave["approval"] = row.approval;
    wave["approved"] = row.approval && i < record.approved;
    out.push_back(std::move(wave));
  }
  return out;
}

std::string_view action_text(wire::BudgetAction action) {
  switch (action) {
    case wire::BudgetAction::pause: return "pause";
    case wire::BudgetAction::abort: return "abort";
    case wire::BudgetAction::revert: return "revert";
  }
  return "pause";
}

}  // namespace

Json report_json(const rollout::ReportSummary& report) {
  return {{"sequence", report.sequence},
          {"rollout", report.rollout.is_zero() ? Json() : Json(report.rollout.short_hex())},
          {"attempt", report.attempt},
          {"step", wire::step_name(report.step)},
          {"code", code_name(report.code)},
          {"reason", report.reason},
          {"bytes_fetched", report.bytes_fetched},
          {"received_ms", report.received.value}};
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json counts_json(const rollout::Counts& counts) {
  Json out = Json::object();
  // `idle` is no state of a member.
  for (std::size_t step = 1; step < wire::kStepCount; ++step) {
    out[std::string(wire::step_name(static_cast<wire::Step>(step)))] = counts.by_step[step];
  }
  return out;
}

Json status_json(const ManifestId& id, const rollout::RolloutView& rollout, const std::string& waits_for) {
  const auto& record = rollout.record;
  const auto& policy = rollout.release->policy;
  const auto& sums = rollout.sums();
  Json out;
  out["format"] = 1;
  out["rollout"] = id.short_hex();
  out["product"] = record.product;
  out["release"] = record.release;
  out["sequence"] = record.sequence;
  out["groups"] = groups_json(record.groups);
  out["state"] = rollout.state_name();
  out["outcome"] = rollout.outcome();
  out["superseded_by"] = rollout.superseded_by.has_value() ? Json(rollout.superseded_by->short_hex()) : Json();
  out["content"] = rollout.release->content.short_hex();
  out["cause"] = record.cause;
  out["wave"] = record.wave + 1;
  out["waves_total"] = rollout.waves.size();
  out["waits_for"] = waits_for;
  out["approval_signed"] = policy.approval_signed;
  out["devices"] = sums.devices;
  out["counts"] = counts_json(sums);
  out["failures"] = sums.failed;
  out["retrying"] = sums.retrying;
  out["asking"] = sums.asking;
  out["waves"] = waves_json(rollout);
  out["budget"] = {{"failures_max", policy.failures_max},
                   {"failures_bp", policy.failures_bp},
                   {"action", action_text(policy.budget_action)}};
  out["bytes_sent"] = sums.bytes_sent;
  out["bytes_full"] = sums.bytes_full;
  out["bytes_budget"] = policy.rollout_bytes_max;
  out["started_ms"] = record.started.value;
  out["updated_ms"] = rollout.updated.value;
  out["reasons"] = reasons_json(sums);
  return out;
}

Json rollout_json(const rollout::Tracker& tracker, const ManifestId& id, Now now) {
  return status_json(id, *tracker.rollout(id), tracker.waiting_for(id, now));
}

Json refused_json(const ManifestId& id, const Error& error, WallMs now) {
  Json out;
  out["format"] = 1;
  out["rollout"] = id.short_hex();
  out["state"] = "refused";
  out["code"] = code_name(error.code);
  out["reason"] = error.message;
  out["updated_ms"] = now.value;
  return out;
}

void add_clock(Json& out, const ClockWatch& clock, Now now) {
  out["time_ms"] = now.wall.value;
  out["clock"] = {{"ok", !clock.is_suspect()}, {"trusted", clock.is_trusted()}, {"reason", clock.reason()}};
}

void add_roots(Json& out, const Roots& roots, const rollout::Tracker& tracker) {
  const auto* trust = roots.trust();
  out["root_version"] = trust == nullptr ? Json() : Json(trust->root().version);
  out["root_expires_ms"] = trust == nullptr ? 0 : trust->root().expires.value;
  out["root_chain"] = Json::array();
  for (const auto& [version, envelope] : roots.chain()) {
    auto& ranges = out["root_chain"];
    if (!ranges.empty() && ranges.back()[1] == version - 1) {
      ranges.back()[1] = version;
    } else {
      ranges.push_back(Json::array({version, version}));
    }
  }
  out["root_behind"] = Json();
  if (trust == nullptr) return;
  std::uint64_t ahead = 0;
  std::uint32_t newest = 0;
  for (const auto& [id, device] : tracker.devices()) {
    const auto version = device.record.description.root_version;
    if (version <= trust->root().version) continue;
    ++ahead;
    newest = std::max(newest, version);
  }
  if (ahead > 0) out["root_behind"] = {{"ours", trust->root().version}, {"newest", newest}, {"devices", ahead}};
}

Json member_json(const rollout::MemberRecord& member) {
  Json out;
  out["step"] = wire::step_name(member.step);
  out["attempt"] = member.attempt;
  out["code"] = code_name(member.code);
  out["reason"] = member.reason;
  out["pack_kind"] = artifact::pack_kind_name(member.pack_kind);
  out["bytes_planned"] = member.bytes_planned;
  out["bytes_fetched"] = member.bytes_fetched;
  out["bytes_full"] = member.bytes_full;
  out["bytes_sent"] = member.bytes_sent;
  out["again"] = member.again;
  out["asks_start"] = member.asks != 0;
  out["downtime_ms"] = member.downtime_ms;
  out["switch_ms"] = member.switch_ms;
  out["updated_ms"] = member.updated.value;
  return out;
}

Json device_json(const DeviceId& id, const rollout::Tracker& tracker, WallMs now, bool verbose) {
  const auto& device = *tracker.device(id);
  const auto& record = device.record;
  Json out;
  out["device"] = id.str();
  out["online"] = device.online;
  out["last_seen_ms"] = record.last_seen.value;
  add_description(out, record.description, verbose);
  const auto target = device.target.has_value() ? tracker.rollout(*device.target) : std::nullopt;
  out["target"] = device.target.has_value() ? Json(device.target->short_hex()) : Json();
  out["target_release"] = target.has_value() ? Json(target->record.release) : Json();
  out["cloned"] = rollout::is_cloned(record, now);
  if (device.other_key_at.value != 0) {
    out["other_key_id"] = trust::key_text(device.other_key);
    out["other_key_ms"] = device.other_key_at.value;
  }
  if (!verbose) return out;
  // How far the device's clock stood before ours when it said hello; negative: it was ahead.
  const auto behind = record.described - record.description.time;
  out["clock_offset_ms"] = record.description.time.value == 0 ? Json() : Json(behind);
  out["public_key"] = record.awaits_key ? Json() : Json(to_hex(record.key.bytes));
  out["cloned_ms"] = record.cloned.value;
  out["boot"] = record.boot;
  out["connect"] = record.connect;
  out["applied_sequence"] = record.applied_sequence;
  out["bytes_sent"] = record.bytes_sent;
  out["first_seen_ms"] = record.first_seen.value;
  out["login"] = record.login;
  out["took_part"] = record.took_part;
  return out;
}

}  // namespace instar::broker

#include "publisher/broker/rollout_view.hpp"

#include <algorithm>
#include <utility>

#include "publisher/broker/rollout_outcome.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kBarColumns = 40;

std::string bar(std::uint64_t done, std::uint64_t all) {
  const auto filled = all == 0 ? 0 : static_cast<std::size_t>(std::min(done, all) * kBarColumns / all);
  return "[" + std::string(filled, '#') + std::string(kBarColumns - filled, '.') + "]";
}

std::string waves_text(const RolloutStatus& status) {
  Table table;
  table.column("WAVE");
  for (const auto* name :
       {"DEVICES", "SILENT", "WAITING", "IN FLIGHT", "COMMITTED", "FAILED", "RETRYING", "REFUSED", "LATE"}) {
    table.column(name, Align::right);
  }
  for (std::size_t i = 0; i < status.waves.size(); ++i) {
    const auto& wave = status.waves[i];
    std::string name = std::to_string(i + 1);
    if (!wave.opened) name += " (closed)";
    if (wave.approved) name += " (approved)";
    table.row({name, std::to_string(wave.admitted), std::to_string(wave.silent), std::to_string(wave.waiting),
               std::to_string(wave.in_flight), std::to_string(wave.committed), std::to_string(wave.failed),
               std::to_string(wave.retrying), std::to_string(wave.refused), std::to_string(wave.late)});
  }
  return table.str();
}

}  // namespace

std::string code_text(const Json& row) {
  const auto code = get_text(row, "code");
  const auto reason = get_text(row, "reason");
  if (code.empty() || code == "ok") return reason;
  return reason.empty() ? code : code + ": " + reason;
}

std::uint64_t RolloutStatus::count(std::string_view step) const noexcept {
  const auto found = std::ranges::find(kSteps, step);
  return found == kSteps.end() ? 0 : counts[static_cast<std::size_t>(found - kSteps.begin())];
}

std::uint64_t RolloutStatus::unsuccessful() const noexcept {
  return count("rolled_back") + count("refused") + count("failed");
}

std::uint64_t RolloutStatus::finished() const noexcept {
  return count("committed") + unsuccessful();
}

bool RolloutStatus::is_over() const noexcept {
  return state == "complete" || state == "superseded" || state == "aborted" || state == "reverted" ||
         state == "refused";
}

RolloutStatus read_status(const Json& json) {
  RolloutStatus status;
  status.rollout = get_text(json, "rollout");
  status.product = get_text(json, "product");
  status.release = get_text(json, "release");
  status.sequence = get_number(json, "sequence");
  status.groups = get_texts(json, "groups");
  status.state = get_text(json, "state");
  status.outcome = get_text(json, "outcome");
  status.superseded_by = get_text(json, "superseded_by");
  status.content = get_text(json, "content");
  status.devices = get_number(json, "devices");
  const Json& counts = get(json, "counts");
  for (std::size_t i = 0; i < kSteps.size(); ++i) status.counts[i] = get_number(counts, kSteps[i]);
  status.bytes_sent = get_number(json, "bytes_sent");
  status.bytes_full = get_number(json, "bytes_full");
  status.started = get_time(json, "started_ms");
  status.updated = get_time(json, "updated_ms");
  for (const auto& reason : get(json, "reasons")) {
    status.reasons.push_back({get_text(reason, "code"), get_text(reason, "reason"), get_number(reason, "count")});
  }
  status.wave = get_number(json, "wave", 1);
  status.cause = get_text(json, "cause");
  status.waits_for = get_text(json, "waits_for");
  status.asking = get_number(json, "asking");
  status.retrying = get_number(json, "retrying");
  status.bytes_budget = get_number(json, "bytes_budget");
  status.devices_ahead = get_number(get(json, "devices_ahead"), "devices");
  status.sequence_ahead = get_number(get(json, "devices_ahead"), "highest_sequence");
  for (const auto& row : get(json, "waves")) {
    RolloutStatus::Wave wave;
    wave.admitted = get_number(row, "admitted");
    wave.silent = get_number(row, "silent");
    wave.waiting = get_number(row, "waiting");
    wave.in_flight = get_number(row, "in_flight");
    wave.committed = get_number(row, "committed");
    wave.failed = get_number(row, "failed");
    wave.retrying = get_number(row, "retrying");
    wave.refused = get_number(row, "refused");
    wave.late = get_number(row, "late");
    wave.opened = get_number(row, "opened_ms") != 0;
    wave.needs_approval = get_flag(row, "approval");
    wave.approved = get_flag(row, "approved");
    status.waves.push_back(wave);
  }
  // A refusal carries one code and reason at the top.
  if (status.reasons.empty() && !get_text(json, "reason").empty()) {
    status.reasons.push_back({get_text(json, "code"), get_text(json, "reason"), 1});
  }
  return status;
}

Exit exit_of(const RolloutStatus& status) noexcept {
  if (status.state == "refused") return Exit::refused;
  const bool all_took_it = status.outcome == "complete" || (status.outcome.empty() && status.unsuccessful() == 0);
  if (status.state == "complete" && all_took_it) return Exit::ok;
  return Exit::rollout_failed;
}

std::string rollouts_text(const std::vector<RolloutStatus>& rollouts, WallMs now) {
  if (rollouts.empty()) return "no rollouts yet; make one with `instar publish`\n";
  Table table;
  table.column("ROLLOUT");
  table.column("PRODUCT");
  table.column("RELEASE");
  table.column("SEQ", Align::right);
  table.column("STATE");
  table.column("DEVICES", Align::right);
  table.column("COMMITTED", Align::right);
  table.column("NOT", Align::right);
  table.column("SENT", Align::right);
  table.column("STARTED");
  table.column("GROUPS");
  for (const auto& each : rollouts) {
    table.row({each.rollout, each.product, each.release, std::to_string(each.sequence), state_text(each),
               std::to_string(each.devices), std::to_string(each.count("committed")),
               std::to_string(each.unsuccessful()), human_bytes(each.bytes_sent), relative_time(each.started, now),
               joined(each.groups)});
  }
  return table.str();
}

std::vector<std::string> next_commands(const RolloutStatus& status) {
  std::vector<std::string> commands;
  const auto add = [&](const std::string& verb, const std::string& what) {
    commands.push_back("instar rollout " + verb + " " + status.rollout + "   # " + what);
  };
  if (status.state == "active" && status.waits_for.find("approval") != std::string::npos) {
    const bool is_signed = status.waits_for.find("signed") != std::string::npos;
    commands.push_back("instar rollout approve " + status.rollout + (is_signed ? " --key FILE" : "") +
                       "   # opens wave " + std::to_string(status.wave + 1));
  }
  if (status.state == "paused") {
    if (status.count("failed") + status.count("rolled_back") > 0) add("retry", "lets the failed devices try again");
    add("resume", "goes on in spite of it");
    add("abort", "ends it; devices stay with what they run");
  }
  if (status.state == "superseded")
    commands.push_back("instar rollout show " + status.superseded_by + "   # has taken over in its groups");
  if (status.state == "complete" && exit_of(status) != Exit::ok) {
    commands.push_back("instar rollout show " + status.rollout + " --devices   # which did not take it, and why");
    if (status.superseded_by.empty()) add("retry", "lets those that failed, or refused, try again");
  }
  return commands;
}

std::string rollout_text(const RolloutStatus& status, WallMs now) {
  Fields fields;
  fields.add("rollout", status.rollout);
  fields.add("release", status.product + " " + status.release + " (sequence " + std::to_string(status.sequence) + ")");
  fields.add("groups", joined(status.groups));
  fields.add("state", state_text(status) + (status.cause.empty() ? "" : ": " + status.cause) +
                          (status.state == "superseded" ? " by rollout " + status.superseded_by : ""));
  if (status.devices_ahead > 0) {
    fields.add("refused by", count_of(status.devices_ahead, "device") + " of its groups: they have obeyed sequence " +
                                 std::to_string(status.sequence_ahead) +
                                 " already (from a store that the broker has lost?); publish it again, with the "
                                 "sequence that is chosen now");
  }
  if (status.waves.size() > 1) {
    fields.add("wave", std::to_string(status.wave) + " of " + std::to_string(status.waves.size()) +
                           (status.waits_for.empty() ? "" : "; waits for " + status.waits_for));
  } else if (!status.waits_for.empty()) {
    fields.add("waits for", status.waits_for);
  }
  fields.add("started", with_age(status.started, now));
  fields.add("last change", with_age(status.updated, now));
  std::string sent = human_bytes(status.bytes_sent) + " sent";
  if (status.bytes_budget != 0) sent += " of at most " + human_bytes(status.bytes_budget);
  if (status.bytes_full != 0) sent += "; " + human_bytes(status.bytes_full) + " if every device had fetched the whole";
  fields.add("bytes", sent);
  fields.add("committed", bar(status.count("committed"), status.devices) + " " + results_text(status));
  if (status.asking > 0) fields.add("asking", count_of(status.asking, "device") + " for a turn");
  std::string next;
  for (const auto& command : next_commands(status)) next += (next.empty() ? "\nnext:\n  " : "  ") + command + "\n";
  std::string out = fields.str();
  Table table;
  table.column("STATE");
  table.column("DEVICES", Align::right);
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    if (status.counts[i] != 0) table.row({std::string(kSteps[i]), std::to_string(status.counts[i])});
  }
  if (!table.empty()) out += "\n" + table.str();
  if (status.waves.size() > 1) out += "\n" + waves_text(status);
  Table reasons;
  reasons.column("COUNT", Align::right);
  reasons.column("CODE");
  reasons.column("REASON");
  for (const auto& reason : status.reasons) reasons.row({std::to_string(reason.count), reason.code, reason.text});
  if (!reasons.empty()) out += "\n" + reasons.str();
  return out + next;
}

std::string events_text(const Json& events, WallMs now) {
  Table table;
  table.column("WHEN");
  table.column("WHO");
  table.column("WHAT");
  for (const auto& event : events)
    table.row({with_age(get_time(event, "time_ms"), now), get_text(event, "who"), get_text(event, "what")});
  return table.empty() ? "nothing has happened yet\n" : table.str();
}

// A group below another is indented. The row of a group counts what is below it too.
std::string groups_text(const Json& rows) {
  Table table;
  table.column("GROUP");
  table.column("DEVICES", Align::right);
  table.column("ONLINE", Align::right);
  table.column("ROLLOUTS");
  table.column("RUNNING");
  for (const auto& row : rows) {
    const auto path = get_text(row, "group");
    const auto depth = static_cast<std::size_t>(std::ranges::count(path, '/'));
    std::string running;
    for (const auto& release : get(row, "releases")) {
      const auto name = get_text(release, "release");
      running += (running.empty() ? "" : ", ") + get_text(release, "product") + " " +
                 (name.empty() ? std::string("nothing") : name) + " ×" + std::to_string(get_number(release, "devices"));
    }
    std::string rollouts;
    for (const auto& rollout : get(row, "rollouts")) {
      rollouts += (rollouts.empty() ? "" : ", ") + get_text(rollout, "product") + " " + get_text(rollout, "release") +
                  " " + get_text(rollout, "state");
    }
    table.row({std::string(2 * depth, ' ') + (depth == 0 ? path : path.substr(path.rfind('/') + 1)),
               std::to_string(get_number(row, "devices")), std::to_string(get_number(row, "online")),
               rollouts.empty() ? "-" : rollouts, running});
  }
  return table.empty() ? "no groups yet: they come with devices and releases\n" : table.str();
}

std::string rollout_line(const RolloutStatus& status) {
  std::string out = status.rollout + " " + status.state;
  if (status.outcome != "" && status.outcome != status.state) out += " (" + status.outcome + ")";
  if (status.waves.size() > 1)
    out += " wave=" + std::to_string(status.wave) + "/" + std::to_string(status.waves.size());
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    if (status.counts[i] != 0) out += " " + std::string(kSteps[i]) + "=" + std::to_string(status.counts[i]);
  }
  return printable(out + " devices=" + std::to_string(status.devices) +
                   " bytes_sent=" + std::to_string(status.bytes_sent));
}

std::string members_text(const Json& rows, WallMs now) {
  Table table;
  table.column("DEVICE");
  table.column("STATE");
  table.column("PACK");
  table.column("FETCHED", Align::right);
  table.column("FULL", Align::right);
  table.column("DOWN", Align::right);
  table.column("CHANGED");
  table.column("REASON");
  for (const auto& row : rows) {
    table.row({get_text(row, "device"), get_text(row, "step"), get_text(row, "pack_kind"),
               human_bytes(get_number(row, "bytes_fetched")), human_bytes(get_number(row, "bytes_full")),
               human_duration(static_cast<std::int64_t>(get_number(row, "downtime_ms"))),
               relative_time(get_time(row, "updated_ms"), now), code_text(row)});
  }
  return table.empty() ? "no devices have taken it up yet\n" : table.str();
}

Outcome<PickedRollout> pick_rollout(const std::vector<RolloutStatus>& rollouts, const std::string& name) {
  std::vector<const RolloutStatus*> releases;  // newest first
  std::vector<const RolloutStatus*> ids;
  for (const auto& each : rollouts) {
    if (each.rollout == name) return PickedRollout{each, ""};
    if (each.release == name || each.product + "/" + each.release == name) releases.push_back(&each);
    if (!name.empty() && each.rollout.starts_with(name)) ids.push_back(&each);
  }
  const auto& matches = releases.empty() ? ids : releases;
  if (matches.empty()) {
    return fail(Exit::invalid_input, Code::not_found,
                "no rollout '" + name + "'; `instar rollout list` shows those there are");
  }
  const auto& newest = *matches.front();
  if (matches.size() == 1) return PickedRollout{newest, ""};
  const bool one_product =
      std::ranges::all_of(releases, [&](const RolloutStatus* each) { return each->product == newest.product; });
  std::string which;
  for (const auto* each : matches) {
    which += (which.empty() ? "" : ", ") + each->rollout + " (" + each->product + " " + each->release + ", " +
             state_text(*each) + ")";
  }
  if (!releases.empty() && one_product) {
    return PickedRollout{
        newest, "'" + name + "' means the newest of " + std::to_string(matches.size()) + " rollouts: " + which};
  }
  return fail(Exit::invalid_input, Code::invalid_argument,
              "'" + name + "' means several rollouts: " + which +
                  (releases.empty() ? "; give more of the id" : "; say PRODUCT/" + newest.release + ", or the id"));
}

}  // namespace instar::publisher

#include "device-client/device_status.hpp"

#include "core/base/limits.hpp"
#include "core/revision/hearing.hpp"
#include "core/revision/trusted_time.hpp"
#include "core/trust/root.hpp"
#include "device-client/containers/client_slots.hpp"
#include "device-client/disk_watch.hpp"
#include "device-client/factory.hpp"
#include "device-client/host.hpp"
#include "device-client/owner.hpp"
#include "device-client/process/json_line.hpp"
#include "files/files.hpp"
#include "files/reserve.hpp"
#include "files/spared_file.hpp"

namespace instar::device {
namespace {

std::string record_json(const std::optional<revision::RevisionRecord>& record) {
  if (!record) return "null";
  return JsonLine()
      .add("release", record->info.release)
      .add("sequence", static_cast<std::int64_t>(record->info.sequence))
      .add("revision", std::int64_t{record->number})
      .add("manifest", record->info.manifest.hex())
      .str();
}

std::string record_text(const std::optional<revision::RevisionRecord>& record) {
  if (!record) return "none";
  return record->info.release + " (sequence " + std::to_string(record->info.sequence) + ", revision " +
         std::to_string(record->number) + ")";
}

std::int64_t days_of_silence(const DeviceStatus& status) noexcept {
  return revision::silent_days(status.state.hearing, status.wall);
}

std::string clock_json(const DeviceStatus& status) {
  return JsonLine()
      .add("state", wire::clock_state_name(status.clock))
      .add("synchronized", status.clock == wire::ClockState::synchronized)
      .add("credible", status.is_clock_credible)
      .str();
}

std::string clock_text(const DeviceStatus& status) {
  auto text = utc_text(status.wall);
  if (status.clock == wire::ClockState::synchronized) return text + ", synchronized";
  text += status.clock == wire::ClockState::none ? ", not kept while the device is off" : ", not synchronized";
  return status.is_clock_credible ? text : text + ": not believed";
}

std::string broker_text(const DeviceStatus& status) {
  const auto& hearing = status.state.hearing;
  std::string text =
      hearing.last_signed.value == 0 ? "has sent no gate" : "last gate signed " + utc_text(hearing.last_signed);
  const auto days = days_of_silence(status);
  if (status.silence_days_max != 0 && days >= status.silence_days_max)
    text += "; SILENT for " + std::to_string(days) + " days";
  return text;
}

std::string link_text(const DeviceStatus& status) {
  const auto& link = status.link;
  const std::string last =
      link.failure.empty() ? "" : "; last failure on " + utc_text(link.failed) + ": " + link.failure;
  if (status.daemon_pid == 0) return "not connected, because the daemon does not run" + last;
  if (link.connected) return "connected since " + utc_text(link.since) + last;
  if (link.since.value == 0) return "not connected yet";
  return "NOT connected since " + utc_text(link.since) + ", " + std::to_string(link.failures) +
         (link.failures == 1 ? " failed attempt" : " failed attempts") +
         (link.failure.empty() ? "" : ": " + link.failure);
}

// How the last release ended here, and why it did not stay.
std::string last_text(const revision::Outcome& last) {
  std::string text = std::string(wire::step_name(last.step)) + " (sequence " + std::to_string(last.sequence) + ")";
  return last.reason.empty() ? text : text + ": " + last.reason;
}

// The root document in force, from the device's own file.
trust::RootDocument root_of(const revision::DeviceState& state) {
  const auto trust = trust::TrustStore::from_pinned(state.root);
  return trust ? trust->root() : trust::RootDocument{};
}

std::string root_line(const trust::RootDocument& root, WallMs now) {
  if (auto warning = trust::expiry_warning(root, now)) return std::move(*warning);
  return "version " + std::to_string(root.version) +
         (root.expires.value == 0 ? "" : ", expires on " + utc_text(root.expires));
}

std::string disk_json(const DeviceStatus& status) {
  return JsonLine()
      .add("bytes_free", static_cast<std::int64_t>(status.disk.bytes_free))
      .add("files_free", status.disk.inodes == 0 ? -1 : static_cast<std::int64_t>(status.disk.inodes_free))
      .add("full", is_full(status.disk))
      .add("reserve", status.has_reserve)
      .str();
}

std::string disk_text(const DeviceStatus& status) {
  const auto& disk = status.disk;
  std::string text =
      (is_full(disk) ? "NO SPACE: " : "") + mib_text(disk.bytes_free) + " of " + mib_text(disk.bytes) + " free";
  if (disk.inodes != 0) text += ", room for " + std::to_string(disk.inodes_free) + " files";
  return status.has_reserve ? text : text + "; the reserve is not whole";
}

std::string outcome_json(const revision::DeviceState& state) {
  if (state.history.outcomes.empty()) return "null";
  const auto& last = state.history.outcomes.back();
  return JsonLine()
      .add("manifest", last.manifest.hex())
      .add("sequence", static_cast<std::int64_t>(last.sequence))
      .add("attempt", std::int64_t{last.attempt})
      .add("step", wire::step_name(last.step))
      .add("code", code_name(last.code))
      .add("reason", last.reason)
      .str();
}

}  // namespace

std::string owner_text(const revision::OwnerInstruction& word) {
  if (word.hold) return "updates are held (instar-device unhold lets them go on)";
  if (word.allow_any) return "releases that ask for consent may start";
  if (!word.allowed.empty()) return "release " + word.allowed + " may start; others that ask for consent wait";
  return "releases that ask for consent wait (instar-device allow)";
}

Result<DeviceStatus> read_status(const Config& config) {
  const std::string path = state_path(config.state_dir);
  auto bytes = files::read_spared_file(path, limits::kStateFileBytesMax);
  if (!bytes)
    return fail(
        with_context(bytes.error(), "the daemon has left no state; is it running, and may you read its folder?"));
  DeviceStatus status;
  auto state = revision::decode_state(*bytes);
  if (!state) return fail(with_context(state.error(), path));
  status.state = std::move(*state);
  status.device = config.device_id;
  status.product = config.product;
  status.daemon_pid = StateLock::holder(config.state_dir);
  if (auto factory = read_factory(config.state_dir); factory && *factory)
    status.factory = (*factory)->revisions.current;
  status.client = ClientSlots(config.state_dir).current();
  status.wall = read_clocks().wall;
  status.clock = read_clock_state(config.clock);
  status.silence_days_max = config.silence_days;
  status.disk = files::free_space(config.state_dir).value_or(files::Space());
  status.has_reserve = files::Reserve(config.state_dir + "/reserve", status.disk).is_whole();
  revision::TrustedTime time;
  time.set_clock(status.clock);
  if (const auto trust = trust::TrustStore::from_pinned(status.state.root)) time.set_root(trust->root().issued);
  status.is_clock_credible = time.is_credible(status.wall);
  if (const auto line = files::read_file(link_path(config.state_dir), limits::kJsonLineBytesMax))
    status.link = parse_link(as_text(*line)).value_or(LinkRecord{});
  status.owner = read_owner_word(config.state_dir).value_or(revision::OwnerInstruction{true, false, ""});
  return status;
}

std::string status_json(const DeviceStatus& status) {
  const auto& state = status.state;
  const auto root = root_of(state);
  return JsonLine()
      .add("device", status.device.str())
      .add("product", status.product)
      .add("client_version", client_version())
      .add("daemon_pid", std::int64_t{status.daemon_pid})
      .add("phase", revision::phase_name(state.phase))
      .add_raw("running", record_json(state.revisions.current))
      .add_raw("previous", record_json(state.revisions.previous))
      .add_raw("candidate", record_json(state.revisions.candidate))
      .add_raw("factory", record_json(status.factory))
      .add("client", status.client ? status.client->hex() : "")
      .add("attempt", std::int64_t{state.attempt.number})
      .add_raw("last_outcome", outcome_json(state))
      .add("last_refusal", state.history.refusal)
      .add_raw("link", link_json(status.link))
      .add("bytes_planned", static_cast<std::int64_t>(state.attempt.bytes_planned))
      .add("bytes_fetched", static_cast<std::int64_t>(state.attempt.bytes_fetched))
      .add("bytes_full", static_cast<std::int64_t>(state.attempt.bytes_full))
      .add("highest_sequence", static_cast<std::int64_t>(state.history.highest_sequence))
      .add("root_version", std::int64_t{root.version})
      .add("root_expires_ms", root.expires.value)
      .add("last_report", static_cast<std::int64_t>(state.reports.last_report))
      .add("acked_report", static_cast<std::int64_t>(state.reports.acked_report))
      .add("pending_reports", static_cast<std::int64_t>(state.reports.pending.size()))
      .add("boot", std::int64_t{state.boot})
      .add("held", status.owner.hold)
      .add("consent", status.owner.allow_any ? "any" : status.owner.allowed)
      .add("waits", state.permission.waits)
      .add("time_ms", status.wall.value)
      .add_raw("clock", clock_json(status))
      .add_raw("disk", disk_json(status))
      .add("last_signed", state.hearing.last_signed.value)
      .add("last_heard", state.hearing.heard.value)
      .add("broker_silent_days", days_of_silence(status))
      .str();
}

std::string status_text(const DeviceStatus& status) {
  const auto& state = status.state;
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += std::string(name) + std::string(12 - name.size(), ' ') + value + "\n";
  };
  line("device", status.device.str() + " (" + status.product + ")");
  line("daemon", status.daemon_pid == 0 ? "not running" : "running, process " + std::to_string(status.daemon_pid));
  line("running", record_text(state.revisions.current));
  line("previous", record_text(state.revisions.previous));
  if (status.factory) line("factory", record_text(status.factory));
  if (status.client) line("client", "of a release, artifact " + status.client->short_hex());
  line("phase", std::string(revision::phase_name(state.phase)));
  if (!state.permission.waits.empty()) line("waits", state.permission.waits);
  line("owner", owner_text(status.owner));
  line("root", root_line(root_of(state), status.wall));
  line("clock", clock_text(status));
  line("link", link_text(status));
  line("disk", disk_text(status));
  line("broker", broker_text(status));
  if (state.revisions.candidate) {
    line("candidate", record_text(state.revisions.candidate) + ", attempt " + std::to_string(state.attempt.number));
    line("fetched",
         std::to_string(state.attempt.bytes_fetched) + " of " + std::to_string(state.attempt.bytes_planned) + " bytes");
  }
  if (!state.history.outcomes.empty()) line("last", last_text(state.history.outcomes.back()));
  if (!state.history.refusal.empty()) line("refused", state.history.refusal);
  line("reports", std::to_string(state.reports.pending.size()) + " not yet acknowledged, last is " +
                      std::to_string(state.reports.last_report));
  return text;
}

}  // namespace instar::device

#include "device-client/device_status.hpp"

#include "core/base/limits.hpp"
#include "device-client/containers/client_slots.hpp"
#include "device-client/factory.hpp"
#include "device-client/host.hpp"
#include "device-client/owner.hpp"
#include "device-client/process/json_line.hpp"
#include "files/files.hpp"

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

std::string outcome_json(const revision::DeviceState& state) {
  if (state.history.outcomes.empty()) return "null";
  const auto& last = state.history.outcomes.back();
  return JsonLine()
      .add("manifest", last.manifest.hex())
      .add("sequence", static_cast<std::int64_t>(last.sequence))
      .add("attempt", std::int64_t{last.attempt})
      .add("step", wire::step_name(last.step))
      .add("code", code_name(last.code))
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
  auto bytes = files::read_file(path, limits::kStateFileBytesMax);
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
  status.owner = read_owner_word(config.state_dir).value_or(revision::OwnerInstruction{true, false, ""});
  return status;
}

std::string status_json(const DeviceStatus& status) {
  const auto& state = status.state;
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
      .add("bytes_planned", static_cast<std::int64_t>(state.attempt.bytes_planned))
      .add("bytes_fetched", static_cast<std::int64_t>(state.attempt.bytes_fetched))
      .add("bytes_full", static_cast<std::int64_t>(state.attempt.bytes_full))
      .add("highest_sequence", static_cast<std::int64_t>(state.history.highest_sequence))
      .add("last_report", static_cast<std::int64_t>(state.reports.last_report))
      .add("acked_report", static_cast<std::int64_t>(state.reports.acked_report))
      .add("pending_reports", static_cast<std::int64_t>(state.reports.pending.size()))
      .add("boot", std::int64_t{state.boot})
      .add("held", status.owner.hold)
      .add("consent", status.owner.allow_any ? "any" : status.owner.allowed)
      .add("waits", state.permission.waits)
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
  if (state.revisions.candidate) {
    line("candidate", record_text(state.revisions.candidate) + ", attempt " + std::to_string(state.attempt.number));
    line("fetched",
         std::to_string(state.attempt.bytes_fetched) + " of " + std::to_string(state.attempt.bytes_planned) + " bytes");
  }
  if (!state.history.outcomes.empty())
    line("last", std::string(wire::step_name(state.history.outcomes.back().step)) + " (sequence " +
                     std::to_string(state.history.outcomes.back().sequence) + ")");
  line("reports", std::to_string(state.reports.pending.size()) + " not yet acknowledged, last is " +
                      std::to_string(state.reports.last_report));
  return text;
}

}  // namespace instar::device

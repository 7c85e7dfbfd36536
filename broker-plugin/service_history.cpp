// Histories: what the store has kept of a device's reports and of a rollout's events.
#include <algorithm>

#include "broker-plugin/service_reply.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

// Of a device's history, without being asked for more.
constexpr std::uint64_t kLastReports = 8;

std::string sentence(const Error& error) {
  return std::string(code_name(error.code)) + ": " + error.message;
}

// Reports stand in a ring: after a jump of their numbers (a store that was lost) their slots are not in order.
bool is_before(const Json& one, const Json& other) {
  return one.contains("sequence") && one["sequence"] < other["sequence"];
}

Json report_row(const Bytes& bytes) {
  const auto report = rollout::decode_report_summary(bytes);
  return report.has_value() ? report_json(*report) : Json();
}

Json event_row(const Bytes& bytes) {
  const auto event = rollout::decode_event_record(bytes);
  if (!event.has_value()) return {};
  return {{"time_ms", event->time.value}, {"who", event->who}, {"what", event->what}};
}

}  // namespace

Result<Json> ServiceImpl::device_row(const Json& command) const {
  INSTAR_TRY(const auto text, read_string(command, "device"));
  INSTAR_TRY(const auto id, DeviceId::parse(text));
  const auto* device = tracker_.device(id);
  if (device == nullptr) return fail(Code::not_found, "no device " + text + " is known here");
  Json out = device_json(id, *device, true);
  out["rollouts"] = Json::array();
  for (const auto& [hash, rollout] : tracker_.rollouts()) {
    const auto member = rollout.members.find(id);
    if (member == rollout.members.end()) continue;
    Json row{{"rollout", hash.short_hex()}, {"release", rollout.record.release}, {"sequence", rollout.record.sequence}};
    row.update(member_json(member->second.record));
    row["wave"] = member->second.wave < 0 ? Json() : Json(member->second.wave + 1);
    out["rollouts"].push_back(std::move(row));
  }
  return out;
}

void ServiceImpl::get_device(const Json& command, const std::shared_ptr<Reply>& reply, Json response) {
  auto row = device_row(command);
  if (!row.has_value()) {
    response["error"] = sentence(row.error());
    reply->responses.push_back(std::move(response));
    return;
  }
  const auto id = DeviceId::parse((*row)["device"].get<std::string>());
  const auto last = (*row)["applied_sequence"].get<std::uint64_t>();
  const auto most = read_flag(command, "history") ? limits::kHistoryReportsMax : kLastReports;
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(most, last); ++i)
    keys.push_back(storage::report_key(*id, last - i));
  response["data"] = std::move(*row);
  reply->responses.push_back(std::move(response));
  add_history(reply, reply->responses.size() - 1, "last_reports", std::move(keys), report_row);
}

void ServiceImpl::get_rollout_history(const Json& command, const std::shared_ptr<Reply>& reply, Json response) {
  auto row = get_rollout(command, *reply);
  const auto hash = find_rollout(command);
  if (!row.has_value() || !hash.has_value()) {
    response["error"] = sentence(row.has_value() ? hash.error() : row.error());
    reply->responses.push_back(std::move(response));
    return;
  }
  const auto events = tracker_.rollout(*hash)->record.events;
  std::vector<std::string> keys;
  for (std::uint64_t i = 1; i <= std::min<std::uint64_t>(limits::kHistoryEventsMax, events); ++i) {
    keys.push_back(storage::event_key(*hash, events - i));
  }
  response["data"] = std::move(*row);
  reply->responses.push_back(std::move(response));
  add_history(reply, reply->responses.size() - 1, "events", std::move(keys), event_row);
}

// The newest are read first, so that they have a place in the answer; it shows them last.
void ServiceImpl::add_history(const std::shared_ptr<Reply>& reply, std::size_t at, const char* field,
                              std::vector<std::string> keys, Json (*row)(const Bytes& record)) {
  reply->responses[at]["data"][field] = Json::array();
  if (keys.empty()) return;
  struct Gathered {
    Json rows = Json::array();
    std::size_t open = 0;
    bool full = false;
  };
  const auto gathered = std::make_shared<Gathered>();
  gathered->open = keys.size();
  ++reply->open;
  for (auto& key : keys) {
    store_.read(storage::Column::history, std::move(key),
                [=, self = std::weak_ptr(self_)](const Result<std::optional<Bytes>>& value) {
                  const auto service = self.lock();
                  if (service == nullptr) return;
                  if (value.has_value() && value->has_value() && !gathered->full) {
                    auto one = row(**value);
                    gathered->full = !one.is_null() && !reply->add_row(gathered->rows, std::move(one));
                  }
                  if (--gathered->open > 0) return;
                  std::reverse(gathered->rows.begin(), gathered->rows.end());
                  std::stable_sort(gathered->rows.begin(), gathered->rows.end(), is_before);
                  reply->responses[at]["data"][field] = std::move(gathered->rows);
                  (*service)->finish(reply);
                });
  }
}

}  // namespace instar::broker

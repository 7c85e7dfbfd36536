#include "broker-plugin/history.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/rollout/exchange/record.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

using MakeRow = Json (*)(const Bytes& record);

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

struct Gathered {
  Json rows = Json::array();
  std::size_t awaited = 0;
  bool is_full = false;
};

void read_rows(storage::Store& store, std::vector<std::string> keys, MakeRow make_row, const char* field,
               const Slot& slot) {
  if (keys.empty()) return;
  const auto gathered = std::make_shared<Gathered>();
  gathered->awaited = keys.size();
  slot.reply().wait();
  for (auto& key : keys) {
    store.read(storage::Column::history, std::move(key), [=](const Result<std::optional<Bytes>>& value) {
      if (value.has_value() && value->has_value() && !gathered->is_full) {
        auto row = make_row(**value);
        gathered->is_full = !row.is_null() && !slot.reply().add_row(gathered->rows, std::move(row));
      }
      if (--gathered->awaited > 0) return;
      std::reverse(gathered->rows.begin(), gathered->rows.end());
      std::stable_sort(gathered->rows.begin(), gathered->rows.end(), is_before);
      slot.response()["data"][field] = std::move(gathered->rows);
      slot.reply().done();
    });
  }
}

}  // namespace

void read_reports(storage::Store& store, const DeviceId& device, std::uint64_t last, std::uint64_t reports_max,
                  const Slot& slot) {
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < std::min(reports_max, last); ++i) keys.push_back(storage::report_key(device, last - i));
  read_rows(store, std::move(keys), report_row, "last_reports", slot);
}

void read_events(storage::Store& store, const ManifestId& rollout, std::uint64_t count, const Slot& slot) {
  std::vector<std::string> keys;
  for (std::uint64_t i = 1; i <= std::min<std::uint64_t>(limits::kHistoryEventsMax, count); ++i) {
    keys.push_back(storage::event_key(rollout, count - i));
  }
  read_rows(store, std::move(keys), event_row, "events", slot);
}

}  // namespace instar::broker

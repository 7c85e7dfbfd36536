#include "device-client/link_words.hpp"

#include <cstdio>
#include <utility>

#include "core/base/limits.hpp"
#include "core/base/text.hpp"
#include "device-client/process/json_line.hpp"

namespace instar::device {
namespace {

// A connection that lasted so long was a good one: what was said before is news when it comes again.
constexpr std::int64_t kGoodMs = 60'000;
// The file is written at once when something else is so, and otherwise not more often.
constexpr std::int64_t kWriteEveryMs = 600'000;

}  // namespace

std::string link_path(const std::string& state_dir) {
  return state_dir + "/link";
}

std::string link_json(const LinkRecord& record) {
  return JsonLine()
      .add("connected", record.connected)
      .add("since_ms", record.since.value)
      .add("failure", record.failure)
      .add("failed_ms", record.failed.value)
      .add("failures", static_cast<std::int64_t>(record.failures))
      .str();
}

Result<LinkRecord> parse_link(std::string_view line) {
  INSTAR_TRY(const auto fields, JsonFields::parse(line));
  LinkRecord record;
  record.connected = fields.flag("connected");
  record.since = WallMs{fields.integer("since_ms").value_or(0)};
  record.failure = fields.text("failure").value_or("");
  record.failed = WallMs{fields.integer("failed_ms").value_or(0)};
  record.failures = static_cast<std::uint64_t>(fields.integer("failures").value_or(0));
  return record;
}

void LinkWords::connected(Now now) {
  record_.connected = true;
  record_.since = now.wall;
  record_.failures = 0;
  connected_at_ = now.monotonic;
  write(now);
}

void LinkWords::disconnected(const std::string& reason, Now now) {
  if (connected_at_ && now.monotonic - *connected_at_ >= kGoodMs) words_.forget();
  if (record_.connected || record_.since.value == 0) record_.since = now.wall;
  connected_at_.reset();
  record_.connected = false;
  record_.failed = now.wall;
  ++record_.failures;
  if (record_.failure.empty()) record_.failure = clean_text(reason, limits::kTextBytesMax);
  write(now);
}

std::optional<std::string> LinkWords::explained(const mqtt::Event& event, Now now) {
  if (event.reason.empty()) return std::nullopt;
  record_.failure = clean_text(event.reason, limits::kTextBytesMax);
  record_.failed = now.wall;
  write(now);
  // Times in the words may differ: what is the same is the fault.
  const auto key = event.fault == mqtt::Fault::unknown
                       ? event.reason
                       : std::string(mqtt::entry_of(event.fault).name) + event.message.topic;
  return words_.say(key, event.reason, now.monotonic);
}

void LinkWords::write(Now now) {
  const bool is_new = !written_ || record_.connected != written_connected_ || record_.failure != written_failure_;
  if (!is_new && now.monotonic - *written_ < kWriteEveryMs) return;
  written_ = now.monotonic;
  written_connected_ = record_.connected;
  written_failure_ = record_.failure;
  const auto path = link_path(state_dir_);
  const auto fresh = path + ".new";
  std::FILE* const file = std::fopen(fresh.c_str(), "we");
  if (file == nullptr) return;
  const auto line = link_json(record_);
  const bool whole = std::fwrite(line.data(), 1, line.size(), file) == line.size();
  if (std::fclose(file) == 0 && whole)
    static_cast<void>(std::rename(fresh.c_str(), path.c_str()));
  else
    static_cast<void>(std::remove(fresh.c_str()));
}

}  // namespace instar::device

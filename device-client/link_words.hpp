// What the client says of its link to the broker: in the log, where the same cause is said once and then counted, and
// in a small file for `instar-device status`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "mqtt/client.hpp"
#include "mqtt/repeated_words.hpp"

namespace instar::device {

// The link as it is now, or was when the client ended.
struct LinkRecord {
  bool connected = false;
  WallMs since;                // by the device's clock, when that began; 0: never
  std::string failure;         // the last one in words, empty: none yet
  WallMs failed;               // when it was last so
  std::uint64_t failures = 0;  // attempts and connections that failed since it was last connected
  friend bool operator==(const LinkRecord&, const LinkRecord&) = default;
};

[[nodiscard]] std::string link_path(const std::string& state_dir);
[[nodiscard]] std::string link_json(const LinkRecord& record);
// Errors: malformed.
[[nodiscard]] Result<LinkRecord> parse_link(std::string_view line);

class LinkWords {
 public:
  explicit LinkWords(std::string state_dir) : state_dir_(std::move(state_dir)) {}

  // Each returns what to log as a warning. nullopt: nothing new.
  void connected(Now now);
  [[nodiscard]] std::optional<std::string> explained(const mqtt::Event& event, Now now);
  // The library's words, of an attempt or of a connection that stood.
  void disconnected(const std::string& reason, Now now);
  [[nodiscard]] const LinkRecord& record() const noexcept { return record_; }

 private:
  // Not synced: it is for people, and a flash should not be written for it at each failure.
  void write(Now now);

  std::string state_dir_;
  LinkRecord record_;
  mqtt::RepeatedWords words_;
  std::optional<MonotonicMs> connected_at_;
  std::optional<MonotonicMs> written_;
  std::string written_failure_;
  bool written_connected_ = false;
};

}  // namespace instar::device

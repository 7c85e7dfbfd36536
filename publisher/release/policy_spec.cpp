#include "publisher/release/policy_spec.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "core/base/limits.hpp"
#include "core/wire/placement.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr std::uint16_t kAll = 10'000;
constexpr std::uint64_t kLargestU32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::array<std::string_view, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr std::array<std::string_view, 3> kActions{"pause", "abort", "revert"};

tl::unexpected<Error> bad_policy(std::string message) {
  return fail(Code::invalid_argument, std::move(message));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && stop == text.data() + text.size() && !text.empty();
}

Result<std::uint32_t> seconds(std::string_view text) {
  INSTAR_TRY(const auto ms, parse_duration_ms(text));
  if (ms / 1'000 > static_cast<std::int64_t>(kLargestU32)) return bad_policy("'" + std::string(text) + "' is too long");
  return static_cast<std::uint32_t>(ms / 1'000);
}

Status set_wave_option(std::string_view option, wire::Wave& wave) {
  const auto equals = option.find('=');
  const auto key = option.substr(0, equals);
  const auto value = equals == std::string_view::npos ? std::string_view{} : option.substr(equals + 1);
  if (option == "approval") {
    wave.approval = true;
  } else if (key == "success" && !value.empty()) {
    INSTAR_TRY(wave.success_bp, parse_percent(value));
  } else if (key == "quorum" && !value.empty()) {
    INSTAR_TRY(wave.quorum_bp, parse_percent(value));
  } else if (key == "soak" && !value.empty()) {
    INSTAR_TRY(wave.soak_s, seconds(value));
  } else {
    return bad_policy("'" + std::string(option) + "' is none of success=P%, soak=TIME, quorum=P%, approval");
  }
  return {};
}

// 0 … 6, or -1.
int day_of(std::string_view text) {
  std::string name(text);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto found = std::ranges::find(kDays, std::string_view(name).substr(0, 3));
  return found == kDays.end() || name.size() < 3 ? -1 : static_cast<int>(found - kDays.begin());
}

Result<std::uint8_t> parse_days(std::string_view text) {
  if (text == "daily") return std::uint8_t{127};
  std::uint8_t days = 0;
  for (const auto part : split(text, ',')) {
    const auto dash = part.find('-');
    const int first = day_of(part.substr(0, dash));
    const int last = dash == std::string_view::npos ? first : day_of(part.substr(dash + 1));
    if (first < 0 || last < 0)
      return bad_policy("'" + std::string(text) + "' must be days such as Mon-Fri or Sat,Sun, or daily");
    for (int day = first;; day = (day + 1) % 7) {
      days = static_cast<std::uint8_t>(days | 1U << day);
      if (day == last) break;
    }
  }
  return days;
}

Result<std::uint16_t> parse_clock(std::string_view text) {
  const auto colon = text.find(':');
  unsigned hour = 0;
  unsigned minute = 0;
  const bool good = colon != std::string_view::npos && read_number(text.substr(0, colon), hour) &&
                    text.size() == colon + 3 && read_number(text.substr(colon + 1), minute) && hour < 24 && minute < 60;
  if (!good) return bad_policy("'" + std::string(text) + "' must be a time of day such as 02:00");
  return static_cast<std::uint16_t>(hour * 60 + minute);
}

std::string clock_text(std::uint16_t minute) {
  const auto two = [](int number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  return two(minute / 60) + ":" + two(minute % 60);
}

std::string days_text(std::uint8_t days) {
  if (days == 127) return "daily";
  std::string out;
  for (std::size_t day = 0; day < kDays.size(); ++day) {
    if ((days >> day & 1) == 0) continue;
    std::string name(kDays[day]);
    name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
    out += (out.empty() ? "" : ",") + name;
  }
  return out;
}

// A wave of a release file.
Result<wire::Wave> read_wave(const Json& json, const std::string& where) {
  if (json.is_string()) {
    auto wave = parse_wave(json.get<std::string>());
    if (!wave) return fail(with_context(wave.error(), where));
    return wave;
  }
  INSTAR_TRY(auto object,
             JsonObject::of(json, where, {"devices", "count", "share", "success", "quorum", "soak", "approval"}));
  wire::Wave wave;
  INSTAR_TRY(wave.devices, object.texts("devices"));
  INSTAR_TRY(const auto count, object.number_or("count", 0, kLargestU32));
  wave.device_count = static_cast<std::uint32_t>(count);
  const auto percent = [&](std::string_view key, std::uint16_t& out) -> Status {
    INSTAR_TRY(const auto text, object.text_or(key, ""));
    if (text.empty()) return {};
    auto parsed = parse_percent(text);
    if (!parsed) return fail(with_context(parsed.error(), object.where(key)));
    out = *parsed;
    return {};
  };
  INSTAR_CHECK(percent("share", wave.share_bp));
  INSTAR_CHECK(percent("success", wave.success_bp));
  INSTAR_CHECK(percent("quorum", wave.quorum_bp));
  INSTAR_TRY(const auto soak_ms, object.duration_ms_or("soak", 0));
  wave.soak_s =
      static_cast<std::uint32_t>(std::min<std::int64_t>(soak_ms / 1'000, static_cast<std::int64_t>(kLargestU32)));
  INSTAR_TRY(wave.approval, object.flag_or("approval", false));
  return wave;
}

Status read_budget(JsonObject& fields, wire::Policy& policy) {
  const Json* value = fields.find("error_budget");
  if (value == nullptr) return {};
  INSTAR_TRY(auto object, JsonObject::of(*value, fields.where("error_budget"), {"failures", "action"}));
  const Json* failures = object.find("failures");
  if (failures == nullptr)
    return fail(Code::malformed, object.where("failures") + " must be a number or a share such as \"2%\"");
  auto taken = parse_failures(failures->is_string() ? failures->get<std::string>() : failures->dump(), policy);
  if (!taken) return fail(with_context(taken.error(), object.where("failures")));
  INSTAR_TRY(const auto action, object.text_or("action", "pause"));
  INSTAR_TRY(policy.budget_action, parse_action(action));
  return {};
}

Result<std::uint32_t> seconds32(JsonObject& object, std::string_view key, std::uint32_t fallback) {
  INSTAR_TRY(const auto ms, object.duration_ms_or(key, std::int64_t{fallback} * 1'000));
  return static_cast<std::uint32_t>(std::min<std::int64_t>(ms / 1'000, static_cast<std::int64_t>(kLargestU32)));
}

Status read_bounds(JsonObject& fields, wire::Policy& policy) {
  INSTAR_TRY(policy.attempts_max, fields.number32_or("attempts_max", policy.attempts_max));
  INSTAR_TRY(policy.backoff_s, seconds32(fields, "backoff", policy.backoff_s));
  INSTAR_TRY(policy.silent_s, seconds32(fields, "silent", policy.silent_s));
  INSTAR_TRY(policy.stale_after_s, seconds32(fields, "stale_after", 0));
  INSTAR_TRY(policy.in_flight_max, fields.number32_or("in_flight_max", 0));
  INSTAR_TRY(policy.starts_per_minute_max, fields.number32_or("starts_per_minute_max", 0));
  INSTAR_TRY(policy.device_bytes_max, fields.size_or("device_bytes_max", 0));
  INSTAR_TRY(policy.rollout_bytes_max, fields.size_or("rollout_bytes_max", 0));
  INSTAR_TRY(const auto rate, fields.size_or("rate_max", 0));
  policy.rate_bytes_per_s_max = static_cast<std::uint32_t>(std::min(rate, kLargestU32));
  INSTAR_TRY(policy.metered_fallback, fields.flag_or("metered_fallback", false));
  INSTAR_TRY(policy.fall_back_stops, fields.number32_or("fall_back_stops", policy.fall_back_stops));
  INSTAR_TRY(policy.unmetered_only, fields.flag_or("unmetered_only", false));
  INSTAR_TRY(policy.download_any_time, fields.flag_or("download_any_time", false));
  INSTAR_TRY(policy.consent, fields.flag_or("consent", false));
  INSTAR_TRY(policy.revert_allowed, fields.flag_or("revert_allowed", false));
  INSTAR_TRY(const auto approval, fields.text_or("approval", "plain"));
  auto taken = parse_approval(approval, policy);
  if (!taken) return fail(with_context(taken.error(), fields.where("approval")));
  return {};
}

}  // namespace

Result<std::uint16_t> parse_percent(std::string_view text) {
  const auto wrong = [&] { return bad_policy("'" + std::string(text) + "' must be a share such as 25% or 0.5%"); };
  if (!text.ends_with('%')) return wrong();
  const auto number = text.substr(0, text.size() - 1);
  const auto dot = number.find('.');
  unsigned whole = 0;
  if (!read_number(number.substr(0, dot), whole) || whole > 100) return wrong();
  unsigned hundredths = 0;
  if (dot != std::string_view::npos) {
    const auto fraction = number.substr(dot + 1);
    if (fraction.empty() || fraction.size() > 2 || !read_number(fraction, hundredths)) return wrong();
    if (fraction.size() == 1) hundredths *= 10;
  }
  const auto share = whole * 100 + hundredths;
  if (share > kAll) return wrong();
  return static_cast<std::uint16_t>(share);
}

Result<wire::Wave> parse_wave(std::string_view text) {
  const auto colon = text.find(':');
  const auto who = text.substr(0, colon);
  wire::Wave wave;
  if (who == "all") {
    wave.share_bp = kAll;
  } else if (who.ends_with('%')) {
    INSTAR_TRY(wave.share_bp, parse_percent(who));
  } else if (!read_number(who, wave.device_count)) {
    for (const auto name : split(who, ',')) {
      auto device = DeviceId::parse(name);
      if (!device) {
        return bad_policy("wave '" + std::string(text) +
                          "' must begin with a number of devices, a share such as 10%, all, or device ids by commas");
      }
      wave.devices.push_back(device->str());
    }
  }
  if (colon == std::string_view::npos) return wave;
  for (const auto option : split(text.substr(colon + 1), ',')) {
    auto taken = set_wave_option(option, wave);
    if (!taken) return fail(with_context(taken.error(), "wave '" + std::string(text) + "'"));
  }
  return wave;
}

Result<wire::MaintenanceWindow> parse_window(std::string_view text) {
  const auto parts = split(text, ' ');
  if (parts.size() != 3)
    return bad_policy("window '" + std::string(text) + "' must be DAYS HH:MM DURATION, like 'Mon-Fri 02:00 4h'");
  wire::MaintenanceWindow window;
  INSTAR_TRY(window.days, parse_days(parts[0]));
  INSTAR_TRY(window.start_minute, parse_clock(parts[1]));
  INSTAR_TRY(const auto ms, parse_duration_ms(parts[2]));
  if (ms < 60'000 || ms > 24 * 3'600'000)
    return bad_policy("window '" + std::string(text) + "' must last from 1min to 24h");
  window.duration_minutes = static_cast<std::uint16_t>(ms / 60'000);
  return window;
}

Status parse_failures(std::string_view text, wire::Policy& policy) {
  policy.failures_max = 0;
  policy.failures_bp = 0;
  if (text.ends_with('%')) {
    INSTAR_TRY(policy.failures_bp, parse_percent(text));
    if (policy.failures_bp > 0) return {};
  } else if (read_number(text, policy.failures_max) && policy.failures_max > 0) {
    return {};
  }
  return bad_policy("'" + std::string(text) +
                    "' must be the number of failed devices that stops the rollout, from 1, or a share such as 2%");
}

Result<wire::BudgetAction> parse_action(std::string_view text) {
  const auto found = std::ranges::find(kActions, text);
  if (found == kActions.end()) return bad_policy("'" + std::string(text) + "' must be pause, abort or revert");
  return static_cast<wire::BudgetAction>(found - kActions.begin());
}

Status parse_approval(std::string_view text, wire::Policy& policy) {
  policy.approval_signed = text == "signed";
  if (policy.approval_signed || text == "plain") return {};
  return bad_policy("'" + std::string(text) + "' must be plain or signed");
}

Result<wire::Policy> parse_policy(JsonObject& release) {
  wire::Policy policy;
  const Json* value = release.find("policy");
  if (value == nullptr) return policy;
  INSTAR_TRY(auto fields,
             JsonObject::of(*value, release.where("policy"),
                            {"waves", "error_budget", "attempts_max", "backoff", "silent", "stale_after",
                             "in_flight_max", "starts_per_minute_max", "device_bytes_max", "rollout_bytes_max",
                             "rate_max", "metered_fallback", "fall_back_stops", "unmetered_only", "download_any_time",
                             "consent", "revert_allowed", "approval", "windows"}));
  if (const Json* waves = fields.find("waves")) {
    if (!waves->is_array()) return fail(Code::malformed, fields.where("waves") + " must be an array");
    for (std::size_t i = 0; i < waves->size(); ++i) {
      INSTAR_TRY(auto wave, read_wave((*waves)[i], fields.where("waves[" + std::to_string(i) + "]")));
      policy.waves.push_back(std::move(wave));
    }
  }
  INSTAR_CHECK(read_budget(fields, policy));
  INSTAR_CHECK(read_bounds(fields, policy));
  INSTAR_TRY(const auto windows, fields.texts("windows"));
  for (const auto& text : windows) {
    auto window = parse_window(text);
    if (!window) return fail(with_context(window.error(), fields.where("windows")));
    policy.windows.push_back(*window);
  }
  return policy;
}

Status complete_policy(wire::Policy& policy) {
  if (!policy.waves.empty() && policy.waves.back().share_bp != kAll) {
    wire::Wave all;
    all.share_bp = kAll;
    policy.waves.push_back(std::move(all));
  }
  if (policy.stale_after_s > 0 && policy.stale_after_s < limits::kStaleAfterSMin) {
    return bad_policy(
        "stale_after must be 2d or more: a broker signs its gates anew once a day, and devices would wait "
        "for ever");
  }
  return wire::check_waves(policy);
}

std::string percent_text(std::uint16_t share_bp) {
  auto text = std::to_string(share_bp / 100);
  if (const auto rest = share_bp % 100; rest != 0)
    text += (rest < 10 ? ".0" : ".") + std::to_string(rest % 10 == 0 ? rest / 10 : rest);
  return text + "%";
}

Json policy_json(const wire::Policy& policy) {
  Json waves = Json::array();
  for (const auto& wave : policy.waves) {
    waves.push_back({{"share_bp", wave.share_bp},
                     {"device_count", wave.device_count},
                     {"devices", wave.devices},
                     {"success_bp", wave.success_bp},
                     {"quorum_bp", wave.quorum_bp},
                     {"soak_s", wave.soak_s},
                     {"approval", wave.approval}});
  }
  Json windows = Json::array();
  for (const auto& window : policy.windows) {
    windows.push_back(
        {{"days", window.days}, {"start_minute", window.start_minute}, {"duration_minutes", window.duration_minutes}});
  }
  return {{"waves", std::move(waves)},
          {"failures_max", policy.failures_max},
          {"failures_bp", policy.failures_bp},
          {"budget_action", std::string(kActions[static_cast<std::size_t>(policy.budget_action)])},
          {"in_flight_max", policy.in_flight_max},
          {"starts_per_minute_max", policy.starts_per_minute_max},
          {"attempts_max", policy.attempts_max},
          {"backoff_s", policy.backoff_s},
          {"deadline_ms", policy.deadline.value},
          {"windows", std::move(windows)},
          {"download_any_time", policy.download_any_time},
          {"consent", policy.consent},
          {"device_bytes_max", policy.device_bytes_max},
          {"rollout_bytes_max", policy.rollout_bytes_max},
          {"rate_bytes_per_s_max", policy.rate_bytes_per_s_max},
          {"metered_fallback", policy.metered_fallback},
          {"unmetered_only", policy.unmetered_only},
          {"fall_back_stops", policy.fall_back_stops},
          {"silent_s", policy.silent_s},
          {"stale_after_s", policy.stale_after_s},
          {"revert_allowed", policy.revert_allowed},
          {"approval", policy.approval_signed ? "signed" : "plain"},
          {"salt", to_hex(policy.salt)}};
}

std::string wave_text(const wire::Wave& wave) {
  std::string text;
  if (!wave.devices.empty()) {
    for (const auto& device : wave.devices) text += (text.empty() ? "" : ", ") + device;
  } else if (wave.device_count > 0) {
    text = count_of(wave.device_count, "device");
  } else {
    text = wave.share_bp == kAll ? "everyone" : percent_text(wave.share_bp);
  }
  if (wave.share_bp == kAll) return text;
  text += "; on when " + percent_text(wave.success_bp) + " have committed";
  if (wave.soak_s > 0) text += ", for " + human_duration(std::int64_t{wave.soak_s} * 1'000);
  if (wave.quorum_bp != 5'000) text += ", " + percent_text(wave.quorum_bp) + " heard of";
  if (wave.approval) text += ", and approved";
  return text;
}

std::vector<std::pair<std::string, std::string>> policy_lines(const wire::Policy& policy) {
  std::vector<std::pair<std::string, std::string>> lines;
  const auto add = [&](std::string name, std::string text) { lines.emplace_back(std::move(name), std::move(text)); };
  for (std::size_t i = 0; i < policy.waves.size(); ++i)
    add("wave " + std::to_string(i + 1), wave_text(policy.waves[i]));
  if (policy.failures_max > 0 || policy.failures_bp > 0) {
    add("error budget",
        (policy.failures_max > 0 ? count_of(policy.failures_max, "device") : percent_text(policy.failures_bp)) +
            " failed: " + std::string(kActions[static_cast<std::size_t>(policy.budget_action)]));
  }
  if (policy.in_flight_max > 0) add("in flight", "at most " + count_of(policy.in_flight_max, "device"));
  if (policy.starts_per_minute_max > 0)
    add("starts", "at most " + std::to_string(policy.starts_per_minute_max) + " a minute");
  if (policy.attempts_max > 1) {
    add("attempts",
        std::to_string(policy.attempts_max) + ", " + human_duration(std::int64_t{policy.backoff_s} * 1'000) + " apart");
  }
  if (policy.deadline.value != 0) add("starts before", local_time(policy.deadline));
  for (const auto& window : policy.windows) {
    add("window", days_text(window.days) + " " + clock_text(window.start_minute) + ", " +
                      human_duration(std::int64_t{window.duration_minutes} * 60'000) +
                      (policy.download_any_time ? " (downloads at any time)" : ""));
  }
  if (policy.consent) add("consent", "of each device's owner");
  if (policy.unmetered_only) add("link", "not metered");
  if (policy.device_bytes_max > 0) add("bytes a device", "at most " + human_bytes(policy.device_bytes_max));
  if (policy.rollout_bytes_max > 0) add("bytes in all", "at most " + human_bytes(policy.rollout_bytes_max));
  if (policy.rate_bytes_per_s_max > 0)
    add("rate", "at most " + human_bytes(policy.rate_bytes_per_s_max) + " a second and device");
  if (policy.revert_allowed) add("taken back", "allowed");
  if (policy.stale_after_s > 0)
    add("gates", "none older than " + human_duration(std::int64_t{policy.stale_after_s} * 1'000));
  if (policy.approval_signed) add("approvals", "signed, and checked by each device");
  if (policy.fall_back_stops > 0) {
    add("falls back",
        "when a container stops " + std::to_string(policy.fall_back_stops) + " times within an hour after the commit");
  }
  return lines;
}

}  // namespace instar::publisher

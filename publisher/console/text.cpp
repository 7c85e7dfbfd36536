#include "publisher/console/text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <optional>

#include "core/base/text.hpp"

namespace instar::publisher {
namespace {

// Reads a decimal number with an optional fraction from the front of `text`; nullopt when there is none.
std::optional<double> take_number(std::string_view& text) {
  const auto end = text.find_first_not_of("0123456789.");
  const auto digits = text.substr(0, end);
  double value = 0;
  const auto [stop, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
  if (digits.empty() || digits.front() == '.' || error != std::errc{} || stop != digits.data() + digits.size())
    return std::nullopt;
  text.remove_prefix(digits.size());
  return value;
}

std::string with_precision(double value, int digits) {
  std::array<char, 64> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), "%.*f", digits, value);
  return {buffer.data(), static_cast<std::size_t>(length)};
}

std::optional<double> size_factor(std::string_view unit) {
  if (unit.ends_with('B')) unit.remove_suffix(1);
  if (unit.empty()) return 1.0;
  const bool binary = unit.size() == 2 && unit[1] == 'i';
  if (unit.size() != 1 && !binary) return std::nullopt;
  const double step = binary ? 1024.0 : 1000.0;
  switch (unit.front()) {
    case 'k':
    case 'K': return step;
    case 'M': return step * step;
    case 'G': return step * step * step;
    case 'T': return step * step * step * step;
    default: return std::nullopt;
  }
}

std::optional<double> duration_factor_ms(std::string_view unit) {
  if (unit == "ms") return 1.0;
  if (unit == "s") return 1'000.0;
  if (unit == "m" || unit == "min") return 60'000.0;
  if (unit == "h") return 3'600'000.0;
  if (unit == "d") return 86'400'000.0;
  if (unit == "w") return 7 * 86'400'000.0;
  return std::nullopt;
}

// Date and time with `separator` between them.
std::string format_time(WallMs time, char separator, bool local) {
  const std::time_t seconds = static_cast<std::time_t>(time.value / 1000);
  std::tm parts{};
  if ((local ? localtime_r(&seconds, &parts) : gmtime_r(&seconds, &parts)) == nullptr)
    return std::to_string(time.value);
  std::array<char, 64> buffer{};
  const std::string date(buffer.data(), std::strftime(buffer.data(), buffer.size(), "%Y-%m-%d", &parts));
  return date + separator + std::string(buffer.data(), std::strftime(buffer.data(), buffer.size(), "%H:%M:%S", &parts));
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::invalid_argument,
                "size '" + std::string(text) + "' must be a number with k, M, G (x 1000) or Ki, Mi, Gi (x 1024)");
  };
  std::string_view rest = trim(text);
  const auto number = take_number(rest);
  if (!number) return bad();
  const auto factor = size_factor(trim(rest));
  if (!factor) return bad();
  const double bytes = std::round(*number * *factor);
  if (!(bytes < 9.0e18)) return bad();
  return static_cast<std::uint64_t>(bytes);
}

Result<std::int64_t> parse_duration_ms(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::invalid_argument, "duration '" + std::string(text) +
                                            "' must be a number with ms, s, min, h, d or w, like 10s, 90d or 1h30min");
  };
  std::string_view rest = trim(text);
  if (rest == "0") return 0;
  if (rest.empty()) return bad();
  double total_ms = 0;
  while (!rest.empty()) {
    const auto number = take_number(rest);
    if (!number) return bad();
    const auto unit = rest.substr(0, rest.find_first_of("0123456789. "));
    const auto factor = duration_factor_ms(unit);
    if (!factor) return bad();
    total_ms += *number * *factor;
    rest = trim(rest.substr(unit.size()));
  }
  if (!(total_ms < 4.0e15)) return bad();
  return static_cast<std::int64_t>(std::llround(total_ms));
}

Result<std::vector<std::string>> split_words(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      word += line[++i];
      in_word = true;
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t') {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) return fail(Code::invalid_argument, "command '" + std::string(line) + "' leaves a quote open");
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  constexpr std::array kUnits{"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000.0;
  std::size_t unit = 0;
  // 999.5 would be printed with four digits, so the next unit starts just below it.
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000.0;
    ++unit;
  }
  const int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return with_precision(value, digits) + " " + kUnits[unit];
}

std::string human_duration(std::int64_t ms) {
  if (ms < 0) return "-" + human_duration(-ms);
  if (ms < 1'000) return std::to_string(ms) + " ms";
  if (ms < 60'000) return with_precision(static_cast<double>(ms / 100) / 10.0, 1) + " s";
  const auto pair = [](std::int64_t large, const char* large_unit, std::int64_t small, const char* small_unit) {
    std::string text = std::to_string(large) + " " + large_unit;
    if (small != 0) text += " " + std::to_string(small) + " " + small_unit;
    return text;
  };
  const std::int64_t seconds = ms / 1'000;
  if (seconds < 3'600) return pair(seconds / 60, "min", seconds % 60, "s");
  if (seconds < 86'400) return pair(seconds / 3'600, "h", seconds % 3'600 / 60, "min");
  return pair(seconds / 86'400, "d", seconds % 86'400 / 3'600, "h");
}

std::string relative_time(WallMs time, WallMs now) {
  if (time.value == 0) return "never";
  const std::int64_t age_ms = now - time;
  const std::int64_t seconds = (age_ms < 0 ? -age_ms : age_ms) / 1000;
  if (seconds == 0) return "now";
  const std::string span = seconds < 60       ? std::to_string(seconds) + " s"
                           : seconds < 3'600  ? std::to_string(seconds / 60) + " min"
                           : seconds < 86'400 ? std::to_string(seconds / 3'600) + " h"
                                              : std::to_string(seconds / 86'400) + " d";
  return age_ms < 0 ? "in " + span : span + " ago";
}

std::string local_time(WallMs time) {
  return time.value == 0 ? "never" : format_time(time, ' ', true);
}

std::string utc_time(WallMs time) {
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(time.value % 1000));
  return format_time(time, 'T', false) + fraction.data();
}

std::string with_age(WallMs time, WallMs now) {
  return time.value == 0 ? "never" : local_time(time) + " (" + relative_time(time, now) + ")";
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string out;
  for (const auto& word : words) out.append(out.empty() ? "" : separator).append(word);
  return out;
}

std::string count_of(std::uint64_t count, std::string_view singular) {
  return std::to_string(count) + " " + std::string(singular) + (count == 1 ? "" : "s");
}

}  // namespace instar::publisher

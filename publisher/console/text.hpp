// Sizes, durations and times as people write and read them. JSON output has exact bytes and milliseconds instead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/time.hpp"

namespace instar::publisher {

// "1500", "64k", "1.5M", "2G" (powers of 1000) or "64Ki", "32MiB" (powers of 1024), an optional "B". Errors:
// invalid_argument.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

// "500ms", "10s", "5m" or "5min", "2h", "90d", "2w", and sums such as "1h30m"; "0" needs no unit. Errors:
// invalid_argument.
[[nodiscard]] Result<std::int64_t> parse_duration_ms(std::string_view text);

// Splits a command line into words at blanks. '…' and "…" keep blanks in a word, and a backslash keeps the next
// character. Errors: invalid_argument (a quote is left open).
[[nodiscard]] Result<std::vector<std::string>> split_words(std::string_view line);

// "9.21 MB": powers of 1000, three digits; below 1000 exact ("812 B").
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
// "350 ms", "12.4 s", "3 min 20 s", "2 h 5 min", "3 d 4 h".
[[nodiscard]] std::string human_duration(std::int64_t ms);
// "now", "12 s ago", "3 min ago", "in 5 d"; "never" for time 0.
[[nodiscard]] std::string relative_time(WallMs time, WallMs now);
// "2026-11-23 07:01:22" in the local time zone; "never" for time 0.
[[nodiscard]] std::string local_time(WallMs time);
// "2026-11-23T07:01:22.123Z"
[[nodiscard]] std::string utc_time(WallMs time);
// "2026-11-23 07:01:22 (3 min ago)"; "never" for time 0.
[[nodiscard]] std::string with_age(WallMs time, WallMs now);
[[nodiscard]] std::string joined(const std::vector<std::string>& words, std::string_view separator = ",");
// "12 devices", "1 device"
[[nodiscard]] std::string count_of(std::uint64_t count, std::string_view singular);

}  // namespace instar::publisher

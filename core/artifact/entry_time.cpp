#include "core/artifact/entry_time.hpp"

namespace instar::artifact {

std::int64_t time_by_content(const Entry& entry) noexcept {
  constexpr std::int64_t kYear2000 = 946'684'800;
  constexpr std::uint64_t kTwentyYears = 631'152'000;
  if (entry.time) return *entry.time;
  if (entry.type != EntryType::file) return kYear2000;
  return kYear2000 + static_cast<std::int64_t>(entry.content.prefix64() % kTwentyYears);
}

}  // namespace instar::artifact

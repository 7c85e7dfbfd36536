#include "broker-plugin/chores.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

constexpr std::int64_t kTickMs = 1'000;
// Counted bytes are saved a part of the devices at a time, so often; all of those that wait within kSavesARound of
// these, and what is counted meanwhile in the round after.
constexpr std::int64_t kSaveBytesMs = 500;
constexpr std::size_t kSavesARound = 40;
constexpr std::int64_t kCheckSessionsMs = 10'000;
constexpr std::int64_t kCheckExpiryMs = 24 * 3'600 * 1'000;

// True, and `last` becomes `now`, when `interval_ms` have passed.
bool begin_if_due(MonotonicMs& last, MonotonicMs now, std::int64_t interval_ms) noexcept {
  if (now - last < interval_ms) return false;
  last = now;
  return true;
}

}  // namespace

bool Chores::tick_is_due(MonotonicMs now, bool is_urgent) noexcept {
  return begin_if_due(ticked_, now, is_urgent ? 0 : kTickMs);
}

std::size_t Chores::saves_due(MonotonicMs now, std::size_t unsaved) noexcept {
  if (!begin_if_due(saved_, now, kSaveBytesMs)) return 0;
  devices_a_save_ = std::max(devices_a_save_, unsaved / kSavesARound + 1);
  return devices_a_save_;
}

bool Chores::session_check_is_due(MonotonicMs now) noexcept {
  return begin_if_due(sessions_checked_, now, kCheckSessionsMs);
}

bool Chores::gate_refresh_is_due(MonotonicMs now) noexcept {
  return begin_if_due(gates_refreshed_, now, limits::kGateRefreshMs);
}

bool Chores::expiry_check_is_due(MonotonicMs now) noexcept {
  return begin_if_due(expiry_checked_, now, kCheckExpiryMs);
}

bool Chores::silence_check_is_due(MonotonicMs now) noexcept {
  return begin_if_due(silence_checked_, now, kTickMs);
}

void Chores::assert_invariants(MonotonicMs now) const {
  for (const auto last : {ticked_, saved_, sessions_checked_, gates_refreshed_, expiry_checked_, silence_checked_})
    INSTAR_ASSERT(last <= now);
}

}  // namespace instar::broker

#include "core/revision/age.hpp"

#include <algorithm>
#include <string>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

constexpr std::int64_t kAMinuteMs = 60'000;
constexpr std::int64_t kAnHourMs = 60 * kAMinuteMs;
constexpr std::int64_t kADayMs = 24 * kAnHourMs;

std::string span_text(std::int64_t ms) {
  if (ms >= 2 * kADayMs) return std::to_string(ms / kADayMs) + " days";
  if (ms >= 2 * kAnHourMs) return std::to_string(ms / kAnHourMs) + " h";
  return std::to_string((ms + kAMinuteMs - 1) / kAMinuteMs) + " min";
}

// How far the gate's wave lies ahead. Without a soak before it there is nothing that its time would prove, and a broker
// whose clock is some hours ahead holds nobody up.
std::int64_t wave_ahead(const wire::Manifest& manifest, const wire::Gate& gate, WallMs latest) noexcept {
  if (gate.wave_opened.empty()) return 0;
  const auto& waves = manifest.policy.waves;
  const auto before = std::min<std::size_t>(gate.wave, waves.size());
  const bool soaks = std::any_of(waves.begin(), waves.begin() + static_cast<std::ptrdiff_t>(before),
                                 [](const wire::Wave& wave) { return wave.soak_s > 0; });
  return soaks ? gate.wave_opened.back() - latest : 0;
}

// A clock that is synchronized can tell when the gate was signed; the others, only that nothing has opened yet.
bool is_signed_ahead(const wire::Gate& gate, const TrustedTime& time, WallMs latest) noexcept {
  return time.is_synchronized() && gate.fresh > latest;
}

}  // namespace

Status check_age(const wire::Manifest& manifest, const JudgedTime& judged, const TrustedTime& time) {
  if (manifest.expires.value != 0 && judged.time >= manifest.expires) {
    return fail(Code::expired,
                "release " + manifest.release + " expired on " + utc_text(manifest.expires) + "; " + time.text(judged));
  }
  const auto& deadline = manifest.policy.deadline;
  if (deadline.value != 0 && judged.time >= deadline) {
    return fail(Code::expired, "release " + manifest.release + " was to start before " + utc_text(deadline) + "; " +
                                   time.text(judged));
  }
  return {};
}

std::optional<std::int64_t> ms_ahead(const wire::Manifest& manifest, const wire::Gate& gate, const TrustedTime& time,
                                     WallMs wall) noexcept {
  if (!time.is_credible(wall, manifest.issued)) return std::nullopt;
  const auto latest = wall + limits::kGateClockMsMax;
  auto ahead = wave_ahead(manifest, gate, latest);
  if (is_signed_ahead(gate, time, latest)) ahead = std::max(ahead, gate.fresh - latest);
  if (ahead <= 0) return std::nullopt;
  return ahead;
}

Blocker ahead_blocker(const wire::Manifest& manifest, const wire::Gate& gate, const TrustedTime& time, WallMs wall) {
  if (!ms_ahead(manifest, gate, time, wall)) return {};
  const auto ahead_of = [&](WallMs when) { return span_text(when - wall) + " ahead of this device's clock"; };
  if (wave_ahead(manifest, gate, wall + limits::kGateClockMsMax) > 0) {
    const auto opened = gate.wave_opened.back();
    return {"waits: the gate says wave " + std::to_string(gate.wave + 1) + " opened at " + utc_text(opened) + ", ",
            ahead_of(opened)};
  }
  return {"waits: the gate says it was signed at " + utc_text(gate.fresh) + ", ", ahead_of(gate.fresh)};
}

Blocker stale_blocker(const wire::Manifest& manifest, const wire::Gate& gate, const TrustedTime& time, WallMs wall) {
  const auto age_max = std::int64_t{manifest.policy.stale_after_s} * 1'000;
  if (age_max == 0 || !time.is_credible(wall, manifest.issued) || wall - gate.fresh <= age_max) return {};
  return {"waits for a newer gate: this one was signed at " + utc_text(gate.fresh) + ", ",
          span_text(wall - gate.fresh) + " ago, and its release takes none of over " + span_text(age_max) + "; " +
              time.text({wall, JudgedTime::By::own_clock})};
}

Blocker root_blocker(const trust::RootDocument& root, const TrustedTime& time, WallMs wall) {
  const auto judged = time.judge(wall);
  if (root.expires.value == 0 || judged.time < root.expires) return {};
  return {"waits: root document " + std::to_string(root.version) + " expired on " + utc_text(root.expires) +
              ": publish a new version",
          "; " + time.text(judged)};
}

}  // namespace instar::revision

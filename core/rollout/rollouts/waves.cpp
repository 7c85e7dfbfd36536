#include "core/rollout/rollouts/waves.hpp"

#include <algorithm>

#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

// The smallest number that is `share_bp` of `count` or more.
std::uint64_t share_of(std::uint64_t count, std::uint16_t share_bp) noexcept {
  return (count * share_bp + wire::kWholeBp - 1) / wire::kWholeBp;
}

std::string percent(std::uint16_t share_bp) {
  auto text = std::to_string(share_bp / 100);
  if (share_bp % 100 == 0) return text + " %";
  const auto rest = share_bp % 100;
  text += rest % 10 == 0 ? "." + std::to_string(rest / 10) : (rest < 10 ? ".0" : ".") + std::to_string(rest);
  return text + " %";
}

std::string devices(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " device" : " devices");
}

std::string duration(std::int64_t ms) {
  const auto seconds = (ms + 999) / 1'000;
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7'200) return std::to_string((seconds + 59) / 60) + " min";
  return std::to_string((seconds + 3'599) / 3'600) + " h";
}

// Devices that came when the wave was open prove nothing by lying outside of it; and where the fleet was not known, one
// by count waits for as many as it lets begin. When it has stayed so for long, it goes by those that there are; with
// none that counts only if it has no latecomer either, whose proof would come.
bool waits_for_devices(const wire::Wave& row, const Tally& tally, Judgement& out) {
  out.begun = out.sums.admitted + tally.late_begun;
  if (tally.known > 0) return false;
  const bool by_count = row.device_count > 0;
  if (out.sums.admitted == 0) return !out.silent_over || out.sums.late > 0;
  return by_count && out.begun < row.device_count && !out.silent_over;
}

// For so long as for those that are silent. Of a wave by count those that have begun. Where nobody was known there is
// nobody else to go by: a later wave waits for all that are there, and does not open the next one by what the first has
// proved.
std::uint64_t latecomers_waited_for(const wire::Wave& row, std::uint32_t wave, const Tally& tally, bool silent_over) {
  if (silent_over) return 0;
  if (row.device_count > 0) return tally.late_begun;
  return wave > 0 && tally.known == 0 ? tally.late_not_ended : 0;
}

}  // namespace

Judgement judge_wave(const wire::Policy& policy, const RolloutRecord& record, const Tally& tally, WaveTimes times) {
  Judgement out;
  for (std::size_t wave = 0; wave <= record.wave; ++wave) {
    out.sums += tally.waves.at(wave);
    out.sums.admitted += tally.named_unknown.at(wave);
    out.sums.unseen += tally.named_unknown.at(wave);
  }
  if (tally.devices == 0) return out;
  const auto row = wire::wave_of(policy, record.wave);
  const auto& sums = out.sums;
  out.silent_over = times.open_ms >= std::int64_t{policy.silent_s} * 1'000;
  if (waits_for_devices(row, tally, out)) return out;
  if (sums.admitted > 0) {
    const auto quorum = std::max<std::uint64_t>(share_of(sums.admitted, row.quorum_bp), 1);
    if (sums.seen() < quorum) {
      out.wait = Wait::quorum;
      out.needed = quorum;
      return out;
    }
    out.late = latecomers_waited_for(row, record.wave, tally, out.silent_over);
    const auto counted = sums.admitted + out.late - sums.left_out - (out.silent_over ? sums.unseen : 0);
    const auto ended = sums.committed + sums.failed + sums.left_out;
    // One at least, or it would prove nothing.
    out.needed = std::max<std::uint64_t>(share_of(counted, row.success_bp), 1);
    if (sums.committed < out.needed) {
      const bool all_ended = ended + (out.silent_over ? sums.unseen : 0) == sums.admitted && out.late == 0;
      out.wait = all_ended ? Wait::stuck : Wait::success;
      return out;
    }
  }
  out.holds = true;
  const auto soak_ms = std::int64_t{row.soak_s} * 1'000;
  if (record.settled.value == 0 ? soak_ms > 0 : times.settled_ms < soak_ms) {
    out.wait = Wait::soak;
    out.left_ms = record.settled.value == 0 ? soak_ms : soak_ms - times.settled_ms;
    return out;
  }
  out.wait = row.approval && record.approved <= record.wave ? Wait::approval : Wait::nothing;
  return out;
}

std::string commits_text(const wire::Policy& policy, const RolloutRecord& record, const Judgement& judgement) {
  const auto row = wire::wave_of(policy, record.wave);
  const auto& sums = judgement.sums;
  auto text = std::to_string(sums.committed) + " of " + devices(sums.admitted) + " have committed, " +
              std::to_string(judgement.needed) + " are needed (success " + percent(row.success_bp) + ")";
  if (sums.failed > 0) text += "; " + std::to_string(sums.failed) + " failed for good";
  if (sums.retrying > 0) text += "; " + std::to_string(sums.retrying) + " will try once more";
  if (sums.left_out > 0) text += "; " + std::to_string(sums.left_out) + " refused it or were stopped";
  if (judgement.late > 0) text += "; " + std::to_string(judgement.late) + " that came late are waited for too";
  if (sums.unseen > 0) {
    text += judgement.silent_over
                ? "; " + std::to_string(sums.unseen) + " silent ones are left out"
                : "; " + std::to_string(sums.unseen) + " have not been heard of since the wave opened";
  }
  return text;
}

std::string waits_for(const wire::Policy& policy, const RolloutRecord& record, const Judgement& judgement) {
  const auto row = wire::wave_of(policy, record.wave);
  const auto& sums = judgement.sums;
  switch (judgement.wait) {
    case Wait::devices:
      if (row.device_count > 0)
        return "more devices: " + devices(row.device_count) + " may begin in this wave, " +
               std::to_string(judgement.begun) + (judgement.begun == 1 ? " has" : " have");
      if (sums.late > 0)
        return "a device: none of its groups was known when the rollout began, and of " + devices(sums.late) +
               " that came later none has fetched anything yet";
      return "a device: none of its groups was known when the rollout began";
    case Wait::quorum:
      return "more devices: " + std::to_string(sums.seen()) + " of " + devices(sums.admitted) +
             " have been heard of since the wave opened, " + std::to_string(judgement.needed) + " are needed (quorum " +
             percent(row.quorum_bp) + ")";
    case Wait::success:
    case Wait::stuck: return "more commits: " + commits_text(policy, record, judgement);
    case Wait::soak: return "the soak: " + duration(judgement.left_ms) + " left";
    case Wait::approval: return policy.approval_signed ? "an operator's signed approval" : "an operator's approval";
    case Wait::nothing: break;
  }
  return "";
}

}  // namespace instar::rollout

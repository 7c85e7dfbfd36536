#include "core/delta/make/arm_mode_finder.hpp"

#include <algorithm>
#include <array>

#include "core/base/limits.hpp"
#include "core/delta/little_endian.hpp"

namespace instar::delta {
namespace {

// What a word costs in a mode, in thirds of a bit or so. Of the words of A32 code about 80 of 100 begin with the
// condition "always" (1110), of Thumb code 12 of 100.
constexpr std::uint32_t kAlwaysInA32 = 1;
constexpr std::uint32_t kOtherInA32 = 7;
constexpr std::uint32_t kAlwaysInThumb = 9;
constexpr std::uint32_t kOtherInThumb = 1;
// A change of the mode: some 12 words must speak for it.
constexpr std::uint32_t kSwitchCost = 90;

// The cheapest modes of one section (Viterbi's way), added to `switches`. `is_thumb`: the mode before it, and then at
// its end.
void add_section(const Section& section, ByteView file, std::uint32_t switch_cost, bool& is_thumb,
                 std::vector<std::uint32_t>& switches) {
  const std::uint32_t start = (section.offset + 3) & ~3U;
  const std::uint32_t end = section.offset + section.bytes;
  const std::size_t words = end > start ? (end - start) / 4 : 0;
  // Bit m of each: whether the cheapest way to be in mode m here was in the other mode before.
  std::vector<std::uint8_t> changed(words);
  std::array<std::uint64_t, 2> cost{is_thumb ? switch_cost : 0, is_thumb ? 0 : switch_cost};
  for (std::size_t i = 0; i < words; ++i) {
    const bool is_always = file[start + i * 4 + 3] >> 4 == 0xe;
    const std::array<std::uint64_t, 2> before = cost;
    for (std::size_t mode = 0; mode < 2; ++mode) {
      const bool changes = i > 0 && before[1 - mode] + switch_cost < before[mode];
      if (changes) changed[i] = static_cast<std::uint8_t>(changed[i] | 1U << mode);
      cost[mode] = changes ? before[1 - mode] + switch_cost : before[mode];
    }
    cost[0] += is_always ? kAlwaysInA32 : kOtherInA32;
    cost[1] += is_always ? kAlwaysInThumb : kOtherInThumb;
  }
  if (words == 0) return;
  std::vector<std::uint32_t> found;
  bool mode = cost[1] < cost[0];
  const bool last = mode;
  for (std::size_t i = words; i-- > 0;) {
    if ((changed[i] >> (mode ? 1 : 0) & 1) == 0) continue;
    found.push_back(start + static_cast<std::uint32_t>(i) * 4);
    mode = !mode;
  }
  if (mode != is_thumb) found.push_back(start);
  switches.insert(switches.end(), found.rbegin(), found.rend());
  is_thumb = last;
}

}  // namespace

ArmModes find_arm_modes(const ElfImage& image, ByteView file) {
  for (std::uint32_t switch_cost = kSwitchCost;; switch_cost *= 4) {
    std::vector<std::uint32_t> switches;
    bool is_thumb = false;
    for (const Section& section : image.sections()) {
      if (section.kind == SectionKind::code) add_section(section, file, switch_cost, is_thumb, switches);
    }
    if (switches.size() <= limits::kDeltaArmSwitchesMax) return ArmModes(std::move(switches));
  }
}

}  // namespace instar::delta

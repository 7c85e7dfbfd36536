#include "core/artifact/chunker.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "core/base/assert.hpp"

namespace instar::artifact {
namespace {

// Seed of the gear table, "instar" in ASCII. Frozen with pack format 1, as is the generator.
constexpr std::uint64_t kGearSeed = 0x696e73746172;
// A 64-bit hash that moves by one bit for each byte depends on this many bytes.
constexpr std::size_t kWindowBytes = 64;
// How many bits stricter (before the average) and laxer (after it) the cut condition is: FastCDC's normalization
// level 2.
constexpr int kNormalization = 2;

// splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
constexpr std::array<std::uint64_t, 256> make_gear() {
  std::array<std::uint64_t, 256> gear{};
  std::uint64_t state = kGearSeed;
  for (auto& value : gear) {
    state += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = state;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    value = mixed ^ mixed >> 31;
  }
  return gear;
}
constexpr auto kGear = make_gear();

}  // namespace

std::size_t Chunker::next_cut(ByteView buffer, bool last) const noexcept {
  INSTAR_ASSERT(parameters_.bytes_min >= kWindowBytes && parameters_.bytes_min <= parameters_.bytes_average);
  INSTAR_ASSERT(parameters_.bytes_average <= parameters_.bytes_max && std::has_single_bit(parameters_.bytes_average));
  const std::size_t end = std::min<std::size_t>(buffer.size(), parameters_.bytes_max);
  const std::size_t turn = std::min<std::size_t>(end, parameters_.bytes_average);
  const int bits = std::countr_zero(parameters_.bytes_average);
  const std::uint64_t strict_below = std::uint64_t{1} << (64 - bits - kNormalization);
  const std::uint64_t lax_below = std::uint64_t{1} << (64 - bits + kNormalization);

  if (end > parameters_.bytes_min) {
    // The top bits of the hash depend on the last 64 bytes only, so hashing starts that far before the first possible
    // cut.
    std::uint64_t hash = 0;
    std::size_t at = parameters_.bytes_min - kWindowBytes;
    while (at < parameters_.bytes_min - 1) hash = (hash << 1) + kGear[buffer[at++]];
    while (at < turn) {
      hash = (hash << 1) + kGear[buffer[at++]];
      if (hash < strict_below) return at;
    }
    while (at < end) {
      hash = (hash << 1) + kGear[buffer[at++]];
      if (hash < lax_below) return at;
    }
  }
  if (end == parameters_.bytes_max || last) return end;
  return 0;
}

}  // namespace instar::artifact

// Min-hashes over content-defined pieces (A. Broder, "On the resemblance and containment of documents", 1997).
#include <algorithm>

#include "core/base/limits.hpp"
#include "core/delta/make/maker.hpp"
#include "core/trust/digest.hpp"

namespace instar::delta {
namespace {
constexpr std::size_t kPieceBytes = 64;
// About every 64th place ends a piece.
constexpr std::uint32_t kCutMask = 0x3f;

std::uint64_t mix(std::uint64_t value) {  // splitmix64's finalizer
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}
}  // namespace

Sketch make_sketch(ByteView content) {
  std::vector<std::uint64_t> values;
  std::uint64_t piece = 0;
  std::uint32_t rolling = 0;
  std::size_t length = 0;
  for (const std::uint8_t byte : content) {
    piece = mix(piece + byte + 1);
    rolling = (rolling << 1) + static_cast<std::uint32_t>(mix(byte) & 0xffff);
    if (++length < 8 || (((rolling >> 8) & kCutMask) != 0 && length < 4 * kPieceBytes)) continue;
    values.push_back(piece);
    piece = 0;
    length = 0;
    if (values.size() >= 64 * limits::kSketchValuesMax) {
      std::sort(values.begin(), values.end());
      values.erase(std::unique(values.begin(), values.end()), values.end());
      if (values.size() > limits::kSketchValuesMax) values.resize(limits::kSketchValuesMax);
    }
  }
  if (length > 0) values.push_back(piece);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  if (values.size() > limits::kSketchValuesMax) values.resize(limits::kSketchValuesMax);
  return {std::move(values)};
}

double similarity(const Sketch& a, const Sketch& b) noexcept {
  if (a.values.empty() || b.values.empty()) return 0;
  // Of the smallest hashes of both together, how many are in both.
  std::size_t common = 0;
  std::size_t seen = 0;
  auto x = a.values.begin();
  auto y = b.values.begin();
  while (seen < limits::kSketchValuesMax && (x != a.values.end() || y != b.values.end())) {
    if (y == b.values.end() || (x != a.values.end() && *x < *y)) {
      ++x;
    } else if (x == a.values.end() || *y < *x) {
      ++y;
    } else {
      ++common;
      ++x;
      ++y;
    }
    ++seen;
  }
  return static_cast<double>(common) / static_cast<double>(seen);
}

}  // namespace instar::delta

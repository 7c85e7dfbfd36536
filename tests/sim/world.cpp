#include "tests/sim/world.hpp"

#include <cstdio>

namespace instar::sim {

Random::Random(std::uint64_t seed) {
  for (auto& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    auto mixed = seed;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    word = mixed ^ (mixed >> 31);
  }
}

std::uint64_t Random::next() noexcept {
  const auto rotate = [](std::uint64_t value, int by) { return value << by | value >> (64 - by); };
  const auto result = rotate(state_[1] * 5, 7) * 9;
  const auto shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = rotate(state_[3], 45);
  return result;
}

Bytes Random::noise(std::size_t size) noexcept {
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(next());
  return bytes;
}

void Findings::add(std::string what) {
  list_.push_back(std::move(what));
}

void World::after(std::int64_t ms, std::function<void()> what) {
  queue_.emplace(std::pair{now_.value + ms, order_++}, std::move(what));
}

void World::run_until(MonotonicMs end) {
  while (!queue_.empty() && findings.empty()) {
    const auto first = queue_.begin();
    if (first->first.first > end.value) break;
    now_ = MonotonicMs{first->first.first};
    const auto what = std::move(first->second);
    queue_.erase(first);
    ++events_;
    what();
  }
  if (findings.empty()) now_ = end;
}

void World::note(const std::string& line) const {
  if (verbose) std::printf("%9.3f  %s\n", static_cast<double>(now_.value) / 1000, line.c_str());
}

void World::found(const std::string& what) {
  char time[32];
  std::snprintf(time, sizeof time, "%.3f s: ", static_cast<double>(now_.value) / 1000);
  findings.add(time + what);
  note("FOUND " + what);
}

}  // namespace instar::sim

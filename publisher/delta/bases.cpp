#include "publisher/delta/bases.hpp"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "core/base/limits.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using artifact::EntryType;

constexpr std::uint64_t kProportion = 4;
constexpr std::uint64_t kAlwaysSmall = 64 * 1024;
constexpr double kAlikeFrom = 0.05;
// An executable that was built again shares few whole pieces with the one before, which is still its best base.
constexpr double kUnlikeBelow = 0.02;

std::size_t shared_prefix(std::string_view one, std::string_view other) {
  return static_cast<std::size_t>(std::ranges::mismatch(one, other).in1 - one.begin());
}

std::uint64_t distance(std::uint64_t one, std::uint64_t other) {
  return one > other ? one - other : other - one;
}

void add_once(std::vector<const Entry*>& found, const Entry* entry) {
  if (std::ranges::find(found, entry) == found.end()) found.push_back(entry);
}

}  // namespace

std::uint64_t largest_base_in_proportion(std::uint64_t fresh_bytes) noexcept {
  return kProportion * fresh_bytes + kAlwaysSmall;
}

bool is_base_in_proportion(std::uint64_t base_bytes, std::uint64_t fresh_bytes) noexcept {
  return base_bytes <= largest_base_in_proportion(fresh_bytes);
}

std::string stem_of(std::string_view path) {
  std::string stem;
  for (const char c : path.substr(path.rfind('/') + 1)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) stem += c;
    if (digit && !stem.ends_with('#')) stem += '#';
  }
  return stem;
}

bool DeltaBases::is_unlike(ByteView one, ByteView other) {
  return delta::similarity(delta::make_sketch(one), delta::make_sketch(other)) < kUnlikeBelow;
}

Status DeltaBases::look_at_base() {
  std::unordered_set<Hash256> seen;
  for (const Entry& entry : base_.entries()) {
    if (entry.type != EntryType::file || entry.size == 0 || !seen.insert(entry.content).second) continue;
    INSTAR_CHECK(work_.go_on());
    INSTAR_TRY(const Bytes content, base_.read(entry));
    const auto at = static_cast<std::uint32_t>(files_.size());
    files_.push_back({&entry, delta::make_sketch(content)});
    for (const std::uint64_t value : files_.back().sketch.values) by_value_[value].push_back(at);
    by_stem_[stem_of(entry.path)].push_back(at);
  }
  return {};
}

void DeltaBases::add_alike(std::uint64_t size, const delta::Sketch& sketch, std::vector<const Entry*>& found) const {
  std::map<std::uint32_t, std::uint32_t> shared;  // file → values
  for (const std::uint64_t value : sketch.values) {
    const auto files = by_value_.find(value);
    if (files == by_value_.end() || files->second.size() > limits::kDeltaCommonFilesMax) continue;
    for (const std::uint32_t file : files->second) ++shared[file];
  }
  std::vector<std::pair<double, std::uint32_t>> alike;
  for (const auto& [file, count] : shared) {
    const double likeness = delta::similarity(sketch, files_[file].sketch);
    if (likeness >= kAlikeFrom && is_base_in_proportion(files_[file].entry->size, size))
      alike.emplace_back(likeness, file);
  }
  std::ranges::stable_sort(alike, [](const auto& one, const auto& other) { return one.first > other.first; });
  for (std::size_t i = 0; i < std::min(alike.size(), limits::kDeltaAlikeBasesMax); ++i)
    add_once(found, files_[alike[i].second].entry);
}

void DeltaBases::add_namesake(std::string_view path, std::uint64_t size, std::vector<const Entry*>& found) const {
  const auto files = by_stem_.find(stem_of(path));
  if (files == by_stem_.end()) return;
  const Entry* best = nullptr;
  for (std::size_t i = 0; i < std::min(files->second.size(), limits::kDeltaNamesakesMax); ++i) {
    const Entry* entry = files_[files->second[i]].entry;
    if (!is_base_in_proportion(entry->size, size)) continue;
    const auto prefix = shared_prefix(path, entry->path);
    const auto best_prefix = best == nullptr ? 0 : shared_prefix(path, best->path);
    const bool nearer =
        best != nullptr && prefix == best_prefix && distance(entry->size, size) < distance(best->size, size);
    if (best == nullptr || prefix > best_prefix || nearer) best = entry;
  }
  if (best != nullptr) add_once(found, best);
}

Result<std::vector<const Entry*>> DeltaBases::find(std::string_view path, ByteView content) {
  std::call_once(looked_, [this] { status_ = look_at_base(); });
  if (!status_) return fail(status_.error());
  std::vector<const Entry*> found;
  add_alike(content.size(), delta::make_sketch(content), found);
  add_namesake(path, content.size(), found);
  return found;
}

}  // namespace instar::publisher

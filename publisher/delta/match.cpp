#include "publisher/delta/match.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/delta/make/archive_map.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using delta::BaseKind;
using delta::FileDelta;

// The documentation of match_file() has this: the suffix array of the old file, and tables and outcome of the new one.
// Both contents come on top.
constexpr std::uint64_t kOldFactor = 7;
constexpr std::uint64_t kNewFactor = 4;

// A base of which an archive takes so much that others are not tried.
constexpr std::uint64_t kGoodBase = 4;

std::uint64_t outcome_bytes(const Result<FileDelta>& outcome) {
  if (!outcome) return 0;
  const auto bytes_of = [](const FileDelta& file) {
    return file.difference.size() + file.extra.size() + file.operations.size() * sizeof(delta::Operation);
  };
  std::uint64_t bytes = bytes_of(*outcome);
  for (const delta::PartDelta& part : outcome->parts)
    bytes += bytes_of(part.content) + part.steps.size() * sizeof(delta::BlockStep);
  return bytes;
}

}  // namespace

DeltaMatcher::DeltaMatcher(const Contents& base, const Contents& fresh, std::vector<Task> tasks, unsigned jobs,
                           std::uint64_t bytes_max, const Work& work)
    : base_(base), fresh_(fresh), tasks_(std::move(tasks)), bytes_max_(bytes_max), work_(work), bases_(base, work) {
  for (const Task& task : tasks_) working_bytes_.push_back(working_bytes(task));
  const std::size_t count =
      std::min<std::size_t>(jobs == 0 ? std::max(1U, std::thread::hardware_concurrency()) : jobs, tasks_.size());
  for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { run(); });
}

DeltaMatcher::~DeltaMatcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

std::uint64_t DeltaMatcher::working_bytes(const Task& task) const {
  const std::uint64_t old_bytes =
      task.place != nullptr ? base_.bytes_inside(*task.place) : largest_base_in_proportion(task.fresh->size);
  return kOldFactor * old_bytes + kNewFactor * fresh_.bytes_inside(*task.fresh);
}

void DeltaMatcher::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    // Tasks start in order. So the task that next() waits for is either running, or next() has returned all before it
    // and it may start alone.
    changed_.wait(lock, [this] {
      return stop_ || taken_ == tasks_.size() || bytes_ == 0 || bytes_ + working_bytes_[taken_] <= bytes_max_;
    });
    if (stop_ || taken_ == tasks_.size()) return;
    const std::size_t at = taken_++;
    const std::uint64_t working = working_bytes_[at];
    bytes_ += working;
    lock.unlock();
    auto outcome = match(tasks_[at]);
    lock.lock();
    bytes_ += outcome_bytes(outcome);
    bytes_ -= working;
    waiting_.emplace(at, std::move(outcome));
    changed_.notify_all();
  }
}

Result<FileDelta> DeltaMatcher::next() {
  std::unique_lock lock(mutex_);
  INSTAR_ASSERT(handed_out_ < tasks_.size());
  changed_.wait(lock, [this] { return waiting_.contains(handed_out_); });
  auto outcome = std::move(waiting_.extract(handed_out_++).mapped());
  bytes_ -= outcome_bytes(outcome);
  changed_.notify_all();
  return outcome;
}

Result<FileDelta> DeltaMatcher::match(const Task& task) {
  INSTAR_CHECK(work_.go_on());
  INSTAR_TRY(const Bytes now, fresh_.read(*task.fresh));
  const bool is_archive = delta::may_be_archive(now);
  std::vector<const Entry*> bases;
  bool is_unlike = true;
  Bytes old;
  if (task.place != nullptr && is_base_in_proportion(task.place->size, now.size())) {
    INSTAR_TRY(old, base_.read(*task.place));
    bases.push_back(task.place);
    // What is compressed looks unlike whatever it holds.
    is_unlike = !is_archive && DeltaBases::is_unlike(old, now);
  }
  if (is_unlike) {
    INSTAR_TRY(const auto found, bases_.find(task.fresh->path, now));
    for (const Entry* entry : found) {
      if (entry != task.place) bases.push_back(entry);
    }
  }
  // Of archives the name says more than how they look.
  if (is_archive && task.place == nullptr && !bases.empty()) std::swap(bases.front(), bases.back());
  if (bases.empty()) return delta::match_file({}, now);
  if (now.size() > limits::kDeltaManyBasesBytesMax) bases.resize(1);
  std::optional<FileDelta> best;
  for (const Entry* entry : bases) {
    INSTAR_CHECK(work_.go_on());
    if (entry != task.place) {
      INSTAR_TRY(old, base_.read(*entry));
    }
    auto delta = delta::match_file(old, now);
    if (best && delta.cost_estimate >= best->cost_estimate) continue;
    delta.control.base = entry == task.place ? BaseKind::same_path : BaseKind::path;
    if (entry != task.place) delta.control.base_path = entry->path;
    best = std::move(delta);
    if (is_archive && best->cost_estimate < now.size() / kGoodBase) break;
  }
  // If a base has nothing in common, the few matches that are found by chance cost more than they save.
  if (best->cost_estimate < now.size() / 2) return std::move(*best);
  auto alone = delta::match_file({}, now);
  return alone.cost_estimate <= best->cost_estimate ? std::move(alone) : std::move(*best);
}

}  // namespace instar::publisher

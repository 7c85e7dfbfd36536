#include "core/delta/make/image_plan.hpp"

#include <algorithm>
#include <atomic>
#include <unordered_map>

#include "core/base/assert.hpp"
#include "core/base/hash.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"

namespace instar::delta {
namespace {

// Plain bytes shorter than this are not looked for in the base: naming the place costs about as much.
constexpr std::uint32_t kCopyWorthBytes = 64;
ByteView bytes_of(ByteView image, const ImageBlock& block) {
  return image.subspan(block.place, block.bytes);
}

class Planner {
 public:
  Planner(ByteView old_image, const ImageMap& old, ByteView now_image, ImageMap& now, const RunTasks& run_tasks)
      : old_image_(old_image), old_(old), now_image_(now_image), now_(now), run_tasks_(run_tasks) {}

  std::optional<ImagePlan> run() {
    if (old_.method != now_.method) return std::nullopt;
    if (!look_at_old()) return std::nullopt;
    find_copies();
    if (!encode_again()) return std::nullopt;
    list_tails();
    for (std::uint32_t block = 0; block < now_.blocks.size(); ++block) walk(block);
    INSTAR_ASSERT(held_ == 0);
    flush();
    if (plan_.parts.size() > limits::kBlockPartsMax) return std::nullopt;
    plan_.head.part_count = static_cast<std::uint32_t>(plan_.parts.size());
    return std::move(plan_);
  }

 private:
  struct Tail {
    std::uint32_t offset = 0;
    std::uint32_t bytes = 0;
    std::uint32_t file = 0;
  };

  bool look_at_old();
  void find_copies();
  void find_owners();
  bool encode_again();
  void make_plain(const std::vector<std::uint32_t>& blocks);
  void list_tails();
  void walk(std::uint32_t block);
  void walk_file(std::uint32_t file, std::uint32_t first_block);
  void walk_shared(std::uint32_t block);
  [[nodiscard]] bool hold_up_to(std::uint32_t block, std::uint32_t offset);
  void hold(PlannedPart& part, std::uint32_t block, const Tail& tail);
  void put_held(std::uint32_t block, std::vector<BlockStep>& steps);
  void add_block_steps(PlannedPart& part, std::uint32_t block, bool keep_content);
  void add(PlannedPart part);
  void flush();
  [[nodiscard]] PlannedPart new_part(std::uint32_t file) const;
  void find_exact(PlannedPart& part) const;

  ByteView old_image_;
  const ImageMap& old_;
  ByteView now_image_;
  ImageMap& now_;
  const RunTasks& run_tasks_;
  ImagePlan plan_;
  std::unordered_map<Hash256, std::vector<BlockExtent>> old_contents_;
  std::vector<std::optional<std::uint32_t>> copies_;  // of each new block: where the base has the same
  std::vector<std::uint32_t> owners_;                 // of each new block that is not shared: its file
  std::vector<std::size_t> run_of_;                   // and which run
  std::vector<std::vector<Tail>> tails_;              // of each new block that is shared, by offset
  std::vector<std::size_t> tails_held_;
  std::optional<std::uint32_t> open_;  // the shared block that content is held for
  std::uint32_t held_ = 0;
  std::vector<bool> walked_;
  std::vector<BlockStep> waiting_;  // for the part that comes next
};

// The base as it unpacks, and its contents by their hashes: files, and their ends alone.
bool Planner::look_at_old() {
  BlockTable& table = plan_.head.old;
  if (old_.blocks.size() >= limits::kBlockStretchesMax) return false;
  for (const ImageBlock& block : old_.blocks) {
    if (!table.add({block.bytes, block.unpacked_bytes})) return false;
  }
  const std::uint64_t zeros = table.unpacked_bytes();
  if (!table.add({0, old_.block_bytes})) return false;
  plan_.head.old_method = old_.method;
  plan_.head.block_bytes = std::max(old_.block_bytes, now_.block_bytes);
  plan_.head.specs = {now_.files_spec, now_.tables_spec};
  std::vector<std::vector<Hash256>> hashes(old_.files.size());
  plan_.old_files.resize(old_.files.size());
  std::atomic<bool> sound = true;
  run_tasks_(old_.files.size(), [&](std::size_t at) {
    const ImageFile& file = old_.files[at];
    auto& extents = plan_.old_files[at];
    for (const ImageRun& run : file.runs) {
      const std::uint64_t start = run.block == ImageRun::kHole ? zeros : table.row(run.block).unpacked + run.offset;
      if (!extents.empty() && extents.back().unpacked + extents.back().bytes == start && start != zeros) {
        extents.back().bytes += run.bytes;
      } else {
        extents.push_back({start, run.bytes});
      }
    }
    const auto content = unpack_runs(old_image_, old_, file.runs);
    if (!content) {
      sound = false;
      return;
    }
    hashes[at].push_back(trust::digest(*content));
    if (file.runs.size() > 1) hashes[at].push_back(trust::digest(ByteView(*content).last(file.runs.back().bytes)));
  });
  if (!sound) return false;
  for (std::size_t at = 0; at < old_.files.size(); ++at) {
    if (old_.files[at].runs.empty()) continue;
    if (plan_.old_files[at].size() > limits::kBlockExtentsMax) plan_.old_files[at].clear();
    if (plan_.old_files[at].empty()) continue;
    old_contents_.emplace(hashes[at].front(), plan_.old_files[at]);
    const ImageRun& last = old_.files[at].runs.back();
    if (hashes[at].size() > 1 && last.block != ImageRun::kHole)
      old_contents_.emplace(hashes[at].back(),
                            std::vector<BlockExtent>{{table.row(last.block).unpacked + last.offset, last.bytes}});
  }
  return true;
}

void Planner::find_copies() {
  std::unordered_map<Hash256, std::uint32_t> old_blocks;
  for (const ImageBlock& block : old_.blocks) {
    if (block.bytes >= kCopyWorthBytes) old_blocks.emplace(trust::digest(bytes_of(old_image_, block)), block.place);
  }
  copies_.resize(now_.blocks.size());
  for (std::size_t i = 0; i < now_.blocks.size(); ++i) {
    if (now_.blocks[i].bytes < kCopyWorthBytes || now_.blocks[i].bytes > limits::kBlockBytesMax) continue;
    const auto found = old_blocks.find(trust::digest(bytes_of(now_image_, now_.blocks[i])));
    if (found != old_blocks.end()) copies_[i] = found->second;
  }
}

// Which run has each block that is not shared.
void Planner::find_owners() {
  owners_.assign(now_.blocks.size(), 0);
  run_of_.assign(now_.blocks.size(), 0);
  for (std::uint32_t file = 0; file < now_.files.size(); ++file) {
    for (std::size_t i = 0; i < now_.files[file].runs.size(); ++i) {
      const ImageRun& run = now_.files[file].runs[i];
      if (run.block == ImageRun::kHole || now_.blocks[run.block].is_shared) continue;
      owners_[run.block] = file;
      run_of_[run.block] = i;
    }
  }
}

// Whether each changed block comes out the same.
bool Planner::encode_again() {
  find_owners();
  std::vector<std::uint8_t> unlike(now_.blocks.size(), 0);
  std::atomic<bool> sound = true;
  run_tasks_(now_.blocks.size(), [&](std::size_t i) {
    const ImageBlock& block = now_.blocks[i];
    if (block.is_plain() || copies_[i]) return;
    const auto content = unpack_runs(now_image_, now_, {{static_cast<std::uint32_t>(i), 0, block.unpacked_bytes}});
    if (!content) {
      sound = false;
      return;
    }
    const bool is_table = !block.is_shared && now_.files[owners_[i]].is_table;
    Bytes made(plan_.head.block_bytes);
    const auto got = BlockEncoder::make(is_table ? now_.tables_spec : now_.files_spec)->encode(*content, made);
    const bool same = got && *got == block.bytes &&
                      std::equal(made.begin(), made.begin() + static_cast<std::ptrdiff_t>(block.bytes),
                                 bytes_of(now_image_, block).begin());
    unlike[i] = same ? 0 : 1;
  });
  if (!sound) return false;
  std::uint64_t changed = 0;
  std::vector<std::uint32_t> plain;
  for (std::uint32_t i = 0; i < now_.blocks.size(); ++i) {
    if (copies_[i] || now_.blocks[i].is_plain()) continue;
    changed += now_.blocks[i].bytes;
    if (unlike[i] == 0) continue;
    plan_.unlike_bytes += now_.blocks[i].bytes;
    plain.push_back(i);
  }
  make_plain(plain);
  return plan_.unlike_bytes * 100 <= changed * limits::kImageUnlikePercentMax;
}

// Their bytes travel as they are, and nothing of what is in them is needed. One that is shared becomes a file of its
// own.
void Planner::make_plain(const std::vector<std::uint32_t>& blocks) {
  if (blocks.empty()) return;
  std::vector<bool> gone(now_.blocks.size());
  for (const std::uint32_t number : blocks) {
    ImageBlock& block = now_.blocks[number];
    block.unpacked_bytes = block.bytes;
    if (!block.is_shared) now_.files[owners_[number]].runs[run_of_[number]].bytes = block.bytes;
    gone[number] = block.is_shared;
  }
  for (ImageFile& file : now_.files) {
    std::erase_if(file.runs, [&](const ImageRun& run) { return run.block != ImageRun::kHole && gone[run.block]; });
  }
  for (const std::uint32_t number : blocks) {
    if (!gone[number]) continue;
    now_.blocks[number].is_shared = false;
    now_.files.push_back({"#block " + std::to_string(number), {{number, 0, now_.blocks[number].bytes}}, false});
  }
  find_owners();
}

void Planner::list_tails() {
  tails_.resize(now_.blocks.size());
  tails_held_.resize(now_.blocks.size());
  walked_.resize(now_.blocks.size());
  for (std::uint32_t file = 0; file < now_.files.size(); ++file) {
    for (const ImageRun& run : now_.files[file].runs) {
      if (run.block != ImageRun::kHole && now_.blocks[run.block].is_shared)
        tails_[run.block].push_back({run.offset, run.bytes, file});
    }
  }
  for (auto& tails : tails_) {
    std::ranges::stable_sort(tails, {}, &Tail::offset);
    // Files of one content have the same tail.
    const auto again = std::ranges::unique(tails, {}, &Tail::offset);
    tails.erase(again.begin(), again.end());
  }
}

void Planner::walk(std::uint32_t block) {
  if (walked_[block]) return;
  if (now_.blocks[block].is_shared) {
    walk_shared(block);
  } else {
    walk_file(owners_[block], block);
  }
}

PlannedPart Planner::new_part(std::uint32_t file) const {
  PlannedPart part;
  part.path = now_.files[file].path;
  part.spec = now_.files[file].is_table ? 1 : 0;
  return part;
}

// The blocks of one file that stand one behind the other, and its tail if it is the next one to be held.
void Planner::walk_file(std::uint32_t number, std::uint32_t first_block) {
  const ImageFile& file = now_.files[number];
  PlannedPart part = new_part(number);
  std::size_t end = run_of_[first_block];
  bool all_copied = true;
  std::uint32_t next = first_block;
  for (; end < file.runs.size(); ++end) {
    const ImageRun& run = file.runs[end];
    if (run.block == ImageRun::kHole) continue;
    if (run.block != next || now_.blocks[run.block].is_shared) break;
    all_copied = all_copied && copies_[run.block].has_value();
    walked_[run.block] = true;
    ++next;
  }
  for (std::size_t i = run_of_[first_block]; i < end; ++i) {
    const ImageRun& run = file.runs[i];
    if (run.block == ImageRun::kHole) {
      if (all_copied) continue;
      part.runs.push_back(run);
      part.steps.push_back({BlockStepKind::drop, run.bytes, 0, 0});
      continue;
    }
    add_block_steps(part, run.block, !all_copied);
  }
  if (end + 1 == file.runs.size() && now_.blocks[file.runs[end].block].is_shared) {
    const ImageRun& run = file.runs[end];
    const bool comes = !walked_[run.block] && !copies_[run.block];
    if (comes && hold_up_to(run.block, run.offset)) hold(part, run.block, {run.offset, run.bytes, number});
  }
  add(std::move(part));
}

void Planner::add_block_steps(PlannedPart& part, std::uint32_t number, bool keep_content) {
  const ImageBlock& block = now_.blocks[number];
  if (keep_content || !copies_[number]) part.runs.push_back({number, 0, block.unpacked_bytes});
  if (copies_[number]) {
    if (keep_content) part.steps.push_back({BlockStepKind::drop, block.unpacked_bytes, 0, 0});
    part.steps.push_back({BlockStepKind::copy, block.bytes, 0, *copies_[number]});
  } else if (block.is_plain()) {
    part.steps.push_back({BlockStepKind::store, block.bytes, 0, 0});
  } else {
    const bool is_full = block.unpacked_bytes == plan_.head.block_bytes;
    part.steps.push_back({is_full ? BlockStepKind::full : BlockStepKind::block, block.bytes, block.unpacked_bytes, 0});
  }
}

// Holds the tails of the shared block that begin before `offset`, and bytes that no tail has. Returns false when
// another block's content is held, or when more than that is held already.
bool Planner::hold_up_to(std::uint32_t block, std::uint32_t offset) {
  if ((open_ && *open_ != block) || held_ > offset) return false;
  open_ = block;
  while (held_ < offset) {
    auto& at = tails_held_[block];
    while (at < tails_[block].size() && tails_[block][at].offset < held_) ++at;
    const bool has_tail = at < tails_[block].size() && tails_[block][at].offset == held_;
    const bool fits = has_tail && held_ + tails_[block][at].bytes <= offset;
    Tail tail;
    if (fits) {
      tail = tails_[block][at];
    } else {
      const std::uint32_t next = at < tails_[block].size() && !has_tail ? tails_[block][at].offset : offset;
      tail = {held_, std::min(next, offset) - held_, 0};
    }
    PlannedPart part = fits ? new_part(tail.file) : PlannedPart{};
    hold(part, block, tail);
    add(std::move(part));
  }
  return true;
}

void Planner::hold(PlannedPart& part, std::uint32_t block, const Tail& tail) {
  INSTAR_ASSERT(held_ == tail.offset);
  open_ = block;
  part.runs.push_back({block, tail.offset, tail.bytes});
  part.steps.push_back({BlockStepKind::hold, tail.bytes, 0, 0});
  held_ += tail.bytes;
}

void Planner::put_held(std::uint32_t number, std::vector<BlockStep>& steps) {
  const ImageBlock& block = now_.blocks[number];
  steps.push_back({BlockStepKind::held, block.is_plain() ? 0 : block.bytes, 0, 0});
  walked_[number] = true;
  open_.reset();
  held_ = 0;
}

void Planner::walk_shared(std::uint32_t number) {
  const ImageBlock& block = now_.blocks[number];
  walked_[number] = true;
  if (copies_[number]) {
    waiting_.push_back({BlockStepKind::copy, block.bytes, 0, *copies_[number]});
  } else if (hold_up_to(number, block.unpacked_bytes)) {
    put_held(number, waiting_);
  } else {
    // Content of another block is held: this one is made at once.
    PlannedPart part;
    add_block_steps(part, number, true);
    add(std::move(part));
  }
}

void Planner::find_exact(PlannedPart& part) const {
  const auto content = unpack_runs(now_image_, now_, part.runs);
  if (!content) return;
  const auto found = old_contents_.find(trust::digest(*content));
  if (found == old_contents_.end()) return;
  part.is_exact = true;
  part.extents = found->second;
}

// Parts without content that is to be compared are joined with the one before.
void Planner::add(PlannedPart part) {
  // What is held is compressed as contents are.
  if (part.spec != 0) flush();
  part.steps.insert(part.steps.begin(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  for (const ImageRun& run : part.runs) part.content_bytes += run.bytes;
  if (part.runs.empty()) {
    part.is_exact = true;
  } else {
    find_exact(part);
  }
  if (part.is_exact && !plan_.parts.empty()) {
    PlannedPart& last = plan_.parts.back();
    const bool fits = last.is_exact && last.spec == part.spec && last.steps.size() < limits::kImageJoinedStepsMax &&
                      last.content_bytes + part.content_bytes <= limits::kImageJoinedBytesMax &&
                      last.extents.size() + part.extents.size() <= limits::kBlockExtentsMax;
    if (fits) {
      last.steps.insert(last.steps.end(), part.steps.begin(), part.steps.end());
      last.runs.insert(last.runs.end(), part.runs.begin(), part.runs.end());
      last.content_bytes += part.content_bytes;
      for (const BlockExtent& extent : part.extents) {
        if (!last.extents.empty() && last.extents.back().unpacked + last.extents.back().bytes == extent.unpacked) {
          last.extents.back().bytes += extent.bytes;
        } else {
          last.extents.push_back(extent);
        }
      }
      return;
    }
  }
  plan_.parts.push_back(std::move(part));
}

// What still waits needs a part.
void Planner::flush() {
  if (!waiting_.empty()) add({});
}

}  // namespace

std::optional<ImagePlan> plan_image(ByteView old_image, const ImageMap& old, ByteView now_image, ImageMap& now,
                                    const RunTasks& run_tasks) {
  return Planner(old_image, old, now_image, now, run_tasks).run();
}

}  // namespace instar::delta

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/artifact/entry_fields.hpp"
#include "core/base/assert.hpp"
#include "core/delta/index_delta.hpp"
#include "core/delta/tree_alignment.hpp"

namespace instar::delta {
namespace {

using artifact::Entry;
using artifact::EntryType;
using Entries = std::span<const Entry>;

// Among files with one content, the one whose path is most like the other path is named. Near ones have much in common.
constexpr std::size_t kCandidates = 4;  // on either side

// Where contents are found: files by hash, in index order.
class Contents {
 public:
  explicit Contents(Entries entries) : entries_(entries) {}

  // Errors: malformed (the content is there under another size).
  Status add(std::uint32_t number) {
    const Entry& entry = entries_[number];
    auto& files = files_[entry.content];
    if (!files.empty()) INSTAR_CHECK(check_size(entry, entries_[files.front()]));
    files.push_back(number);
    return {};
  }

  // The path that takes the fewest bytes as a change of `entry`'s path. nullptr when no file has this content.
  [[nodiscard]] Result<const std::string*> find(const Entry& entry) const {
    const auto found = files_.find(entry.content);
    if (found == files_.end()) return nullptr;
    const auto& files = found->second;
    INSTAR_CHECK(check_size(entry, entries_[files.front()]));
    const auto after = std::partition_point(files.begin(), files.end(), [&](std::uint32_t number) {
      return artifact::path_before(entries_[number].path, entry.path);
    });
    const auto place = static_cast<std::size_t>(after - files.begin());
    const std::string* best = nullptr;
    std::size_t best_cost = 0;
    for (std::size_t i = place - std::min(place, kCandidates); i < std::min(files.size(), place + kCandidates); ++i) {
      const std::string& path = entries_[files[i]].path;
      const std::size_t cost = Edit::between(entry.path, path).cost();
      if (best == nullptr || cost < best_cost) {
        best = &path;
        best_cost = cost;
      }
    }
    return best;
  }

 private:
  static Status check_size(const Entry& one, const Entry& other) {
    if (one.size == other.size) return {};
    return fail(Code::malformed, "\"" + one.path + "\" and \"" + other.path + "\" have one content but two sizes");
  }

  Entries entries_;
  std::unordered_map<Hash256, std::vector<std::uint32_t>> files_;
};

// Joins entries that stay or go to runs.
class Runs {
 public:
  explicit Runs(Bytes& out) : out_(out) {}

  void keep() {
    const std::uint64_t before = std::exchange(passed_over_, 0);
    if (step_ != Step::keep) start(Step::keep, before);
    contentless_ = false;
    ++count_;
  }
  void remove() {
    if (step_ != Step::remove) start(Step::remove, 0);
    ++count_;
  }
  void change() {
    // What has no content is passed over before a file that changes.
    if (step_ == Step::keep && contentless_) count_ = 0;
    if (step_ != Step::change) start(Step::change, 0);
    passed_over_ = 0;
    ++count_;
  }
  // An entry without content that stays: fits a run of either kind.
  void pass_over() {
    if (step_ == Step::change) {
      ++passed_over_;
      return;
    }
    if (step_ != Step::keep) start(Step::keep, 0);
    ++count_;
  }
  void other(const IndexOperation& operation) {
    start(Step::keep, 0);
    append_operation(out_, operation);
  }
  // The rest of the base stays, and nothing is written for that.
  void end() {
    if (step_ == Step::keep) count_ = 0;
    passed_over_ = 0;
    IndexOperation last;
    last.step = Step::end;
    other(last);
  }

 private:
  void start(Step step, std::uint64_t count) {
    append_run(step_, count_);
    append_run(Step::keep, std::exchange(passed_over_, 0));
    step_ = step;
    count_ = count;
    contentless_ = true;
  }
  void append_run(Step step, std::uint64_t count) {
    if (count == 0) return;
    IndexOperation run;
    run.step = step;
    run.count = count;
    append_operation(out_, run);
  }

  Bytes& out_;
  Step step_ = Step::keep;
  std::uint64_t count_ = 0;
  std::uint64_t passed_over_ = 0;  // after the last file of a run of changes
  bool contentless_ = true;        // so is all of a run that stays
};

class Maker {
 public:
  Maker(Entries base, Entries fresh)
      : base_(base), fresh_(fresh), base_contents_(base), fresh_contents_(fresh), runs_(delta_.bytes) {}

  Result<IndexDelta> make();

 private:
  [[nodiscard]] Status pair(const Entry& old, NewEntry& now);
  void insert(const NewEntry& now);
  [[nodiscard]] Status find_content(NewEntry& now) const;
  [[nodiscard]] IndexOperation changes(const Entry& old, const NewEntry& now) const;

  Entries base_;
  Entries fresh_;
  Contents base_contents_;
  Contents fresh_contents_;
  IndexDelta delta_;
  Runs runs_;
  Renames renames_;
  UsualMetadata usual_;
  std::string previous_path_;
};

Result<IndexDelta> Maker::make() {
  for (std::uint32_t i = 0; i < base_.size(); ++i) {
    if (has_content(base_[i])) INSTAR_CHECK(base_contents_.add(i));
  }
  delta_.bytes.push_back(kIndexDeltaVersion);
  delta_.entries.reserve(fresh_.size());
  for (const Place& place : align_trees(base_, fresh_)) {
    if (place.fresh == kNoEntry) {
      runs_.remove();
      continue;
    }
    NewEntry now{.entry = fresh_[place.fresh], .from = ContentFrom::none, .source = {}, .same_metadata = false};
    if (place.base != kNoEntry) {
      INSTAR_CHECK(pair(base_[place.base], now));
    } else {
      INSTAR_CHECK(find_content(now));
      insert(now);
    }
    if (has_content(now.entry)) INSTAR_CHECK(fresh_contents_.add(place.fresh));
    usual_.see(now.entry);
    previous_path_ = now.entry.path;
    delta_.entries.push_back(std::move(now));
  }
  runs_.end();
  return std::move(delta_);
}

Status Maker::find_content(NewEntry& now) const {
  if (!has_content(now.entry)) return {};
  INSTAR_TRY(const std::string* const in_base, base_contents_.find(now.entry));
  INSTAR_TRY(const std::string* const earlier, fresh_contents_.find(now.entry));
  if (in_base != nullptr) {
    now.from = ContentFrom::base_path;
    now.source = *in_base;
  } else if (earlier != nullptr) {
    now.from = ContentFrom::earlier;
    now.source = *earlier;
  } else {
    now.from = ContentFrom::decode;
  }
  return {};
}

// Everything that a modify would have to change.
IndexOperation Maker::changes(const Entry& old, const NewEntry& now) const {
  IndexOperation operation;
  operation.step = Step::modify;
  operation.from = now.from;
  const Entry& entry = operation.fields = now.entry;
  const std::string old_target = entry.type == EntryType::hardlink ? renames_.map(old.target) : old.target;
  const auto note = [&](bool differs, Changed field) {
    if (differs) operation.changed = static_cast<std::uint8_t>(operation.changed | field);
  };
  note(entry.mode != old.mode, kChangedMode);
  note(entry.uid != old.uid || entry.gid != old.gid, kChangedOwner);
  note(entry.xattrs != old.xattrs || entry.time != old.time, kChangedXattrs);
  note(entry.target != old_target, kChangedTarget);
  note(entry.device_major != old.device_major || entry.device_minor != old.device_minor, kChangedDevice);
  operation.target = Edit::between(old_target, entry.target);
  operation.source = Edit::between(entry.path, now.source);
  return operation;
}

Status Maker::pair(const Entry& old, NewEntry& now) {
  Entry& entry = now.entry;
  renames_.go_to(old.path);
  const std::string path = renames_.map(old.path);
  const bool renamed = path != entry.path;
  if (renamed) {
    INSTAR_ASSERT(parent_of(path) == parent_of(entry.path));
    if (entry.type == EntryType::directory) renames_.open(old.path, entry.path);
  }
  const bool stays = entry.size == old.size && entry.content == old.content;
  if (!stays) INSTAR_CHECK(find_content(now));
  IndexOperation operation = changes(old, now);
  if (stays) {
    operation.from = ContentFrom::base;
    if (has_content(old)) {
      now.from = entry.path == old.path ? ContentFrom::base : ContentFrom::base_path;
      now.same_metadata = operation.changed == 0;
      if (now.from == ContentFrom::base_path) now.source = old.path;
    }
  }
  if (now.from == ContentFrom::decode && has_content(old)) now.source = old.path;
  const bool decodes = now.from == ContentFrom::decode && has_content(old);
  const bool plain = operation.changed == 0 && (stays || decodes);
  if (renamed) {
    operation.step = !plain ? Step::rename_modify : decodes ? Step::rename_change : Step::rename_keep;
    operation.name = Edit::between(name_of(path), name_of(entry.path));
  }
  if (renamed || !plain) {
    runs_.other(operation);
  } else if (decodes) {
    runs_.change();
  } else if (has_content(old)) {
    runs_.keep();
  } else {
    runs_.pass_over();
  }
  return {};
}

void Maker::insert(const NewEntry& now) {
  const Entry& entry = now.entry;
  IndexOperation operation;
  operation.step = Step::insert;
  operation.from = now.from;
  operation.fields = entry;
  operation.shared = artifact::shared_bytes(previous_path_, entry.path);
  operation.rest = entry.path.substr(static_cast<std::size_t>(operation.shared));
  Entry usual = entry;
  usual.xattrs.clear();
  usual.time.reset();
  usual_.give_to(usual);
  operation.metadata_given = usual != entry;
  operation.target = Edit::between(target_reference(entry.type, entry.path), entry.target);
  operation.source = Edit::between(entry.path, now.source);
  runs_.other(operation);
}

Status check_tree(Entries entries) {
  artifact::IndexChecker checker({.devices_allowed = true});
  for (const Entry& entry : entries) INSTAR_CHECK(checker.check(entry));
  return entries.empty() ? fail(Code::malformed, "a tree has at least its root folder") : Status{};
}

}  // namespace

Result<IndexDelta> make_index_delta(Entries base, Entries fresh) {
  INSTAR_CHECK(check_tree(base));
  INSTAR_CHECK(check_tree(fresh));
  return Maker(base, fresh).make();
}

}  // namespace instar::delta

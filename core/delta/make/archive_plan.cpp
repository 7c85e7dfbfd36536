#include "core/delta/make/archive_plan.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "core/base/assert.hpp"
#include "core/base/hash.hpp"
#include "core/base/limits.hpp"
#include "core/delta/block_stream.hpp"
#include "core/trust/digest.hpp"

namespace instar::delta {
namespace {

// Levels, the most likely first. Of lzma2: presets above 6 differ from it by the dictionary only.
constexpr std::array<std::uint8_t, 9> kArchiveLevels{6, 9, 1, 5, 7, 8, 4, 3, 2};
constexpr std::array<std::uint8_t, 7> kArchivePresets{6, 5, 4, 3, 2, 1, 0};
// Inner files of which none comes out before the archive is given up.
constexpr std::size_t kArchiveHopeless = 16;
// An inner file that is a program is compared alone from here on, since references are looked for in whole files.
constexpr std::size_t kAloneBytes = 4096;
constexpr std::string_view kProgramStart("\177ELF");

// Inner files by their names: the very same, else the same but for digits, else the last component alone.
class Counterparts {
 public:
  explicit Counterparts(const std::vector<InnerFile>& old) : taken_(old.size()) {
    for (std::uint32_t i = 0; i < old.size(); ++i) {
      for (auto [list, key] : {std::pair(&by_name_, old[i].name), std::pair(&by_shape_, shape_of(old[i].name)),
                               std::pair(&by_end_, end_of(old[i].name))})
        (*list)[key].numbers.push_back(i);
    }
  }

  // For each of `now`. An old file is the counterpart of one new file at most.
  std::vector<std::optional<std::uint32_t>> find(const std::vector<InnerFile>& now) {
    std::vector<std::optional<std::uint32_t>> found(now.size());
    for (std::size_t i = 0; i < now.size(); ++i) found[i] = take(by_name_, now[i].name);
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (!found[i]) found[i] = take(by_shape_, shape_of(now[i].name));
    }
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (!found[i]) found[i] = take(by_end_, end_of(now[i].name));
    }
    return found;
  }

 private:
  struct List {
    std::vector<std::uint32_t> numbers;
    std::size_t next = 0;
  };
  using Lists = std::unordered_map<std::string, List>;

  static std::string shape_of(const std::string& name) {
    std::string shape;
    for (const char c : name) {
      const bool is_digit = c >= '0' && c <= '9';
      if (!is_digit || !shape.ends_with('#')) shape += is_digit ? '#' : c;
    }
    return shape;
  }
  static std::string end_of(const std::string& name) { return name.substr(name.find_last_of("/!") + 1); }

  std::optional<std::uint32_t> take(Lists& lists, const std::string& key) {
    const auto list = lists.find(key);
    if (list == lists.end()) return std::nullopt;
    auto& [numbers, next] = list->second;
    while (next < numbers.size()) {
      const std::uint32_t number = numbers[next++];
      if (taken_[number]) continue;
      taken_[number] = true;
      return number;
    }
    return std::nullopt;
  }

  Lists by_name_;
  Lists by_shape_;
  Lists by_end_;
  std::vector<bool> taken_;
};

class ArchivePlanner {
 public:
  ArchivePlanner(ByteView old_archive, const ArchiveMap& old, ByteView now_archive, ArchiveMap now)
      : old_archive_(old_archive), old_(old), now_archive_(now_archive), now_(std::move(now)) {}

  std::optional<ArchivePlan> run() {
    if (old_.method != now_.method || !lay_out_base()) return std::nullopt;
    const auto counterparts = Counterparts(old_.files).find(now_.files);
    std::size_t reached = 0;
    for (std::size_t i = 0; i < now_.files.size(); ++i) {
      const InnerFile& inner = now_.files[i];
      add(now_archive_.subspan(reached, inner.place - reached), inner, counterparts[i]);
      if (tried_ >= kArchiveHopeless && plan_.made_bytes == 0) return std::nullopt;
      reached = std::size_t{inner.place} + inner.bytes;
      now_.files[i].content = Bytes();
    }
    store(now_archive_.subspan(reached), gaps_.back().extent);
    flush();
    if (plan_.made_bytes == 0 || plan_.parts.size() > limits::kBlockPartsMax) return std::nullopt;
    plan_.head.specs = specs_;
    plan_.head.part_count = static_cast<std::uint32_t>(plan_.parts.size());
    return std::move(plan_);
  }

 private:
  struct Gap {
    BlockExtent extent;     // in the base as it unpacks
    std::size_t place = 0;  // in the file
  };

  bool lay_out_base();
  bool add_stretch(ByteView packed, ByteView content);
  void add(ByteView gap, const InnerFile& inner, std::optional<std::uint32_t> counterpart);
  void add_content(const InnerFile& inner, std::optional<std::uint32_t> counterpart, std::optional<std::uint8_t> spec);
  [[nodiscard]] std::optional<std::uint32_t> find_same(const InnerFile& inner,
                                                       std::optional<std::uint32_t> counterpart) const;
  [[nodiscard]] std::optional<std::uint8_t> find_spec(const InnerFile& inner);
  [[nodiscard]] bool comes_out(const InnerFile& inner, const BlockSpec& spec) const;
  [[nodiscard]] bool is_alone(const InnerFile& inner, std::optional<std::uint32_t> counterpart) const;
  [[nodiscard]] bool is_large(std::uint32_t old) const;
  void store(ByteView bytes, const BlockExtent& like);
  void copy(std::size_t from, std::size_t bytes);
  void compare_with(const BlockExtent& extent);
  void make_room(std::size_t bytes);
  void flush();

  [[nodiscard]] static ByteView packed(ByteView archive, const InnerFile& inner) {
    return archive.subspan(inner.place, inner.bytes);
  }

  ByteView old_archive_;
  const ArchiveMap& old_;
  ByteView now_archive_;
  ArchiveMap now_;
  ArchivePlan plan_;
  std::vector<Gap> gaps_;              // before each old inner file, and behind the last one
  std::vector<BlockExtent> contents_;  // of each old inner file
  std::unordered_map<Hash256, std::uint32_t> old_packed_;
  std::vector<BlockSpec> specs_;
  std::size_t tried_ = 0;
  std::uint32_t next_old_ = 0;  // behind the old inner file that came last
  ArchivePart part_;
  bool makes_any_ = false;  // inner files, in the part
};

bool ArchivePlanner::add_stretch(ByteView packed, ByteView content) {
  if (content.empty()) return true;
  plan_.base.insert(plan_.base.end(), content.begin(), content.end());
  return plan_.head.old.size() < limits::kBlockStretchesMax &&
         plan_.head.old.add({static_cast<std::uint32_t>(packed.size()), static_cast<std::uint32_t>(content.size())})
             .has_value();
}

bool ArchivePlanner::lay_out_base() {
  plan_.head.old_method = old_.method;
  plan_.head.old_dictionary_bytes = old_.dictionary_bytes;
  plan_.head.block_bytes = 1;
  std::size_t reached = 0;
  const auto add_gap = [&](std::size_t end) {
    const ByteView gap = old_archive_.subspan(reached, end - reached);
    gaps_.push_back({{plan_.base.size(), static_cast<std::uint32_t>(gap.size())}, reached});
    return add_stretch(gap, gap);
  };
  for (std::uint32_t i = 0; i < old_.files.size(); ++i) {
    const InnerFile& inner = old_.files[i];
    if (!add_gap(inner.place)) return false;
    contents_.push_back({plan_.base.size(), static_cast<std::uint32_t>(inner.content.size())});
    if (!add_stretch(packed(old_archive_, inner), inner.content)) return false;
    reached = std::size_t{inner.place} + inner.bytes;
    old_packed_.emplace(trust::digest(packed(old_archive_, inner)), i);
    // What is larger is read in order.
    if (!inner.is_stored() && inner.content.size() <= limits::kBlockBytesMax)
      plan_.head.block_bytes = std::max(plan_.head.block_bytes, static_cast<std::uint32_t>(inner.content.size()));
  }
  return add_gap(old_archive_.size());
}

// An old inner file with the same compressed bytes: the counterpart, or any.
std::optional<std::uint32_t> ArchivePlanner::find_same(const InnerFile& inner,
                                                       std::optional<std::uint32_t> counterpart) const {
  const ByteView bytes = packed(now_archive_, inner);
  if (counterpart && std::ranges::equal(packed(old_archive_, old_.files[*counterpart]), bytes)) return counterpart;
  const auto found = old_packed_.find(trust::digest(bytes));
  return found == old_packed_.end() ? std::nullopt : std::optional(found->second);
}

bool ArchivePlanner::comes_out(const InnerFile& inner, const BlockSpec& spec) const {
  ByteView wanted = packed(now_archive_, inner);
  const auto encoder = BlockStreamEncoder::make(spec, [&](ByteView made) -> Status {
    if (made.size() > wanted.size() || !std::ranges::equal(made, wanted.first(made.size())))
      return fail(Code::refused, "differs");
    wanted = wanted.subspan(made.size());
    return {};
  });
  return encoder->write(inner.content) && encoder->finish() && wanted.empty();
}

// The part's own first, so that parts are long; then those that others have, then all.
std::optional<std::uint8_t> ArchivePlanner::find_spec(const InnerFile& inner) {
  ++tried_;
  if (part_.spec < specs_.size() && comes_out(inner, specs_[part_.spec])) return part_.spec;
  for (std::uint8_t i = 0; i < specs_.size(); ++i) {
    if (i != part_.spec && comes_out(inner, specs_[i])) return i;
  }
  if (specs_.size() == limits::kBlockSpecsMax) return std::nullopt;
  const auto levels = now_.method == BlockMethod::deflate ? std::span<const std::uint8_t>(kArchiveLevels)
                                                          : std::span<const std::uint8_t>(kArchivePresets);
  for (const std::uint8_t level : levels) {
    const BlockSpec spec{now_.method, level, 15, now_.dictionary_bytes};
    if (std::ranges::find(specs_, spec) != specs_.end() || !comes_out(inner, spec)) continue;
    specs_.push_back(spec);
    return static_cast<std::uint8_t>(specs_.size() - 1);
  }
  return std::nullopt;
}

void ArchivePlanner::add(ByteView gap, const InnerFile& inner, std::optional<std::uint32_t> counterpart) {
  if (const auto same = find_same(inner, counterpart)) {
    const Gap& old_gap = gaps_[*same];
    const std::size_t old_place = old_.files[*same].place;
    if (std::ranges::equal(gap, old_archive_.subspan(old_gap.place, old_gap.extent.bytes))) {
      copy(old_gap.place, gap.size() + inner.bytes);
    } else {
      store(gap, old_gap.extent);
      copy(old_place, inner.bytes);
    }
    next_old_ = *same + 1;
    return;
  }
  store(gap, gaps_[counterpart.value_or(next_old_)].extent);
  if (counterpart) next_old_ = *counterpart + 1;
  const auto spec = inner.is_stored() ? std::nullopt : find_spec(inner);
  if (inner.is_stored() || spec) {
    add_content(inner, counterpart, spec);
  } else {
    store(packed(now_archive_, inner), {});
  }
}

bool ArchivePlanner::is_alone(const InnerFile& inner, std::optional<std::uint32_t> counterpart) const {
  const bool is_program = inner.content.size() >= kAloneBytes && as_text(inner.content).starts_with(kProgramStart);
  return is_program || inner.content.size() > limits::kBlockBytesMax || (counterpart && is_large(*counterpart));
}

// A device reads it in order only.
bool ArchivePlanner::is_large(std::uint32_t old) const {
  return !old_.files[old].is_stored() && contents_[old].bytes > limits::kBlockBytesMax;
}

// `spec`: by which the content is compressed again; none if it is stored.
void ArchivePlanner::add_content(const InnerFile& inner, std::optional<std::uint32_t> counterpart,
                                 std::optional<std::uint8_t> spec) {
  const bool alone = is_alone(inner, counterpart);
  if (alone || (spec && makes_any_ && *spec != part_.spec)) flush();
  if (spec) {
    make_room(inner.content.size());
    part_.spec = *spec;
    makes_any_ = true;
    part_.content.insert(part_.content.end(), inner.content.begin(), inner.content.end());
    part_.steps.push_back({BlockStepKind::block, inner.bytes, static_cast<std::uint32_t>(inner.content.size()), 0});
    plan_.made_bytes += inner.bytes;
    plan_.made_content += inner.content.size();
  } else {
    store(inner.content, {});
  }
  if (counterpart) compare_with(contents_[*counterpart]);
  part_.is_forward = counterpart && is_large(*counterpart);
  if (alone) flush();
}

void ArchivePlanner::store(ByteView bytes, const BlockExtent& like) {
  if (bytes.empty()) return;
  make_room(bytes.size());
  part_.content.insert(part_.content.end(), bytes.begin(), bytes.end());
  const auto count = static_cast<std::uint32_t>(bytes.size());
  if (!part_.steps.empty() && part_.steps.back().kind == BlockStepKind::store) {
    part_.steps.back().value += count;
  } else {
    part_.steps.push_back({BlockStepKind::store, count, 0, 0});
  }
  compare_with(like);
}

void ArchivePlanner::copy(std::size_t from, std::size_t bytes) {
  while (bytes > 0) {
    BlockStep* const last = part_.steps.empty() ? nullptr : &part_.steps.back();
    const bool goes_on = last != nullptr && last->kind == BlockStepKind::copy &&
                         std::size_t{last->from} + last->value == from && last->value < limits::kBlockBytesMax;
    const std::size_t room = limits::kBlockBytesMax - (goes_on ? last->value : 0);
    const auto some = static_cast<std::uint32_t>(std::min(room, bytes));
    if (goes_on) {
      last->value += some;
    } else {
      part_.steps.push_back({BlockStepKind::copy, some, 0, static_cast<std::uint32_t>(from)});
    }
    from += some;
    bytes -= some;
  }
}

void ArchivePlanner::compare_with(const BlockExtent& extent) {
  if (extent.bytes == 0) return;
  auto& base = part_.base;
  if (!base.empty() && base.back().unpacked + base.back().bytes == extent.unpacked) {
    base.back().bytes += extent.bytes;
  } else if (base.size() < limits::kBlockExtentsMax) {
    base.push_back(extent);
  }
}

void ArchivePlanner::make_room(std::size_t bytes) {
  const bool is_full =
      part_.content.size() + bytes > limits::kImageJoinedBytesMax || part_.base.size() + 1 >= limits::kBlockExtentsMax;
  if (is_full) flush();
}

void ArchivePlanner::flush() {
  if (!part_.steps.empty()) plan_.parts.push_back(std::move(part_));
  part_ = {};
  makes_any_ = false;
}

}  // namespace

std::optional<ArchivePlan> plan_archive(ByteView old_archive, const ArchiveMap& old, ByteView now_archive,
                                        ArchiveMap now) {
  return ArchivePlanner(old_archive, old, now_archive, std::move(now)).run();
}

}  // namespace instar::delta

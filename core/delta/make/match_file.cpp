// Matches one file: what is copied from its base, what is predicted, and what is left.
#include <algorithm>
#include <optional>

#include "core/artifact/holes.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/delta/make/arm_mode_finder.hpp"
#include "core/delta/make/gzip_finder.hpp"
#include "core/delta/make/gzip_unpack.hpp"
#include "core/delta/make/lzma_encoder.hpp"
#include "core/delta/make/maker.hpp"
#include "core/delta/make/mask.hpp"
#include "core/delta/make/match.hpp"
#include "core/delta/make/match_archive.hpp"
#include "core/delta/references.hpp"

namespace instar::delta {
namespace {

// A prediction that older clients cannot make must save this part of a file's bytes.
constexpr std::size_t kGainShare = 50;

ReadAt reader_of(ByteView bytes) {
  return [bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    const std::size_t left = offset < bytes.size() ? bytes.size() - static_cast<std::size_t>(offset) : 0;
    const std::size_t count = std::min(left, out.size());
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(offset, bytes.size())), count,
                out.begin());
    return count;
  };
}

// Folds copies into extras: those that `drop` names, by their place.
template <typename Drop>
void drop_copies(std::vector<Operation>& operations, Drop drop) {
  std::vector<Operation> kept;
  for (const Operation& operation : operations) {
    if (operation.copy_bytes > 0 && !drop(operation)) {
      kept.push_back(operation);
    } else if (kept.empty()) {
      kept.push_back({0, 0, operation.copy_bytes + operation.extra_bytes});
    } else {
      kept.back().extra_bytes += operation.copy_bytes + operation.extra_bytes;
    }
  }
  operations = std::move(kept);
}

// A decoder can hold only a limited number of operations. The shortest copies save the least, so they are dropped.
void bound_operations(std::vector<Operation>& operations) {
  if (operations.size() <= limits::kDeltaOperationsMax) return;
  std::vector<std::uint32_t> lengths;
  for (const Operation& operation : operations) lengths.push_back(operation.copy_bytes);
  const auto nth = lengths.end() - static_cast<std::ptrdiff_t>(limits::kDeltaOperationsMax - 1);
  std::nth_element(lengths.begin(), nth, lengths.end());
  const std::uint32_t shortest = *nth;
  drop_copies(operations, [&](const Operation& operation) { return operation.copy_bytes <= shortest; });
}

// Some bases can only be read in order. Of all ways to follow each other, those copies stay that have most bytes.
void make_forward(std::vector<Operation>& operations) {
  struct Chain {
    std::uint64_t bytes = 0;
    std::size_t last = 0;  // the number of the operation plus 1
  };
  const auto end_of = [](const Operation& operation) { return operation.old_start + operation.copy_bytes; };
  std::vector<std::uint32_t> ends;
  for (const Operation& operation : operations) ends.push_back(end_of(operation));
  std::ranges::sort(ends);
  // The best chain whose last copy ends at one of the first ends: a tree of maxima (P. Fenwick, 1994).
  std::vector<Chain> best(ends.size() + 1);
  const auto rank = [&](std::uint32_t place) {
    return static_cast<std::size_t>(std::ranges::upper_bound(ends, place) - ends.begin());
  };
  std::vector<std::size_t> before(operations.size());
  Chain longest;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (operations[i].copy_bytes == 0) continue;
    Chain chain;
    for (std::size_t at = rank(operations[i].old_start); at > 0; at &= at - 1) {
      if (best[at].bytes > chain.bytes) chain = best[at];
    }
    before[i] = chain.last;
    chain = {chain.bytes + operations[i].copy_bytes, i + 1};
    if (chain.bytes > longest.bytes) longest = chain;
    for (std::size_t at = rank(end_of(operations[i])); at < best.size(); at += at & (~at + 1)) {
      if (chain.bytes > best[at].bytes) best[at] = chain;
    }
  }
  std::vector<bool> stays(operations.size());
  for (std::size_t i = longest.last; i > 0; i = before[i - 1]) stays[i - 1] = true;
  const Operation* const first = operations.data();
  drop_copies(operations,
              [&](const Operation& operation) { return !stays[static_cast<std::size_t>(&operation - first)]; });
}

std::size_t count_nonzero(ByteView bytes) {
  return bytes.size() - static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), 0));
}

Bytes plain_difference(ByteView old, ByteView now, const std::vector<Operation>& operations) {
  Bytes difference;
  std::size_t at = 0;
  for (const Operation& operation : operations) {
    for (std::size_t i = 0; i < operation.copy_bytes; ++i) {
      difference.push_back(static_cast<std::uint8_t>(now[at + i] - old[operation.old_start + i]));
    }
    at += operation.copy_bytes + operation.extra_bytes;
  }
  return difference;
}

// The difference that is left when references are predicted. nullopt when there is nothing to predict.
std::optional<Bytes> predicted_difference(ByteView old, ByteView now, const std::vector<Operation>& operations,
                                          const std::optional<ArmModes>& modes) {
  const auto elf = ElfImage::read(reader_of(old), old.size());
  if (!elf) return std::nullopt;
  CopyMap map;
  for (const Operation& operation : operations) map.add(operation);
  map.seal();
  References references(*elf, reader_of(old), map, modes.value_or(ArmModes()));
  references.set_layout(
      ElfImage::read_layout(now.first(std::min<std::size_t>(now.size(), ElfImage::kLayoutBytes)), now.size()));
  Bytes difference;
  std::size_t at = 0;
  for (const Operation& operation : operations) {
    const std::size_t before = difference.size();
    difference.resize(before + operation.copy_bytes);
    references.begin(operation.old_start, static_cast<std::uint32_t>(at), operation.copy_bytes);
    const std::size_t done = references.encode(old.subspan(operation.old_start, operation.copy_bytes), now.data() + at,
                                               difference.data() + before);
    INSTAR_ASSERT(done == operation.copy_bytes);
    at += operation.copy_bytes + operation.extra_bytes;
  }
  return difference;
}

void take_extras(FileDelta& made, ByteView now) {
  std::size_t at = 0;
  for (const Operation& operation : made.operations) {
    at += operation.copy_bytes;
    made.extra.insert(made.extra.end(), now.begin() + static_cast<std::ptrdiff_t>(at),
                      now.begin() + static_cast<std::ptrdiff_t>(at + operation.extra_bytes));
    at += operation.extra_bytes;
  }
  INSTAR_ASSERT(at == now.size());
}

std::optional<ArmModes> arm_modes_of(ByteView file) {
  const auto image = ElfImage::read(reader_of(file), file.size());
  return image && image->machine() == Machine::arm ? std::optional(find_arm_modes(*image, file)) : std::nullopt;
}

// Without the other files of the delta, with which it is compressed in the end.
std::size_t compressed_bytes(const FileDelta& made) {
  Bytes control;
  append_file_control(control, made.control);
  append_operations(control, made.operations);
  const StreamInfo options{.window_bytes = 64 * 1024};
  std::size_t bytes = 0;
  for (const ByteView stream : {ByteView(control), ByteView(made.difference), ByteView(made.extra)})
    bytes += compress(stream, options).bytes.size();
  return bytes;
}

void match_content(FileDelta& made, ByteView old, ByteView now, const MatchOptions& options) {
  const bool is_forward = options.forward || made.control.base_is_gzip;
  const bool may_predict = options.references && !is_forward && !made.control.is_gzip;
  const auto masked_old = may_predict ? mask_references(old) : std::nullopt;
  const auto masked_now = masked_old ? mask_references(now) : std::nullopt;
  made.operations = masked_now ? match(*masked_old, *masked_now) : match(old, now);
  if (is_forward) make_forward(made.operations);
  bound_operations(made.operations);
  made.difference = plain_difference(old, now, made.operations);
  std::size_t left = count_nonzero(made.difference);
  if (may_predict) {
    auto predicted = predicted_difference(old, now, made.operations, made.control.arm_modes);
    const std::size_t predicted_left = predicted ? count_nonzero(*predicted) : 0;
    if (predicted && predicted_left < left) {
      made.difference = std::move(*predicted);
      made.control.predicts = true;
      left = predicted_left;
    }
  }
  if (!made.control.predicts) made.control.arm_modes.reset();
  take_extras(made, now);
  // Of ordinary executables: an operation 3 bytes, a byte that differs 1, new bytes half of themselves.
  made.cost_estimate = made.operations.size() * 3 + left + made.extra.size() / 2;
}

// Of a program for 32-bit Arm: with and without prediction, and then the smaller one. What it looks like to predict is
// a guess more often than for other programs, and only newer clients can decode it, so it must be worth it.
void match_arm(FileDelta& made, ByteView old, ByteView now, ArmModes modes) {
  FileDelta plain = made;
  match_content(plain, old, now, {.references = false});
  made.control.arm_modes = std::move(modes);
  match_content(made, old, now, {});
  if (!made.control.predicts) {
    made = std::move(plain);
    return;
  }
  if (made.cost_estimate < plain.cost_estimate / 2) return;  // clear without the time that compression takes
  const std::size_t without = compressed_bytes(plain);
  if (compressed_bytes(made) + without / kGainShare >= without) made = std::move(plain);
}

}  // namespace

FileDelta match_file(ByteView old, ByteView now, const MatchOptions& options) {
  if (options.archives && may_be_archive(now)) {
    if (auto made = match_archive(old, now)) return std::move(*made);
  }
  FileDelta made;
  made.size = now.size();
  made.blocks = artifact::blocks_without_holes(now);
  if (options.gzip) {
    if (auto found = find_gzip_recipe(now)) {
      made.control.is_gzip = true;
      made.control.recipe = std::move(found->recipe);
      const auto parts = unpack_gzip(old, limits::kGzipFindBytesMax);
      made.control.base_is_gzip = parts.has_value();
      match_content(made, parts ? ByteView(parts->content) : old, found->content, options);
      return made;
    }
  }
  auto modes = options.references ? arm_modes_of(old) : std::nullopt;
  if (modes) {
    match_arm(made, old, now, std::move(*modes));
  } else {
    match_content(made, old, now, options);
  }
  return made;
}

}  // namespace instar::delta

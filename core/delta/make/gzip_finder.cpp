#include "core/delta/make/gzip_finder.hpp"

#include <algorithm>
#include <array>

#include "core/base/limits.hpp"
#include "core/delta/gzip_stream.hpp"
#include "core/delta/make/gzip_unpack.hpp"

namespace instar::delta {
namespace {

struct Sample {
  ByteView file;
  const GzipParts& parts;
};

// How many bytes from the start of the file are right. All of them only if nothing is missing or extra.
std::size_t bytes_alike(const Sample& sample, const GzipRecipe& recipe) {
  std::size_t alike = 0;
  GzipWriter writer(recipe, [&](ByteView made) -> Status {
    const ByteView wanted = sample.file.subspan(alike, std::min(made.size(), sample.file.size() - alike));
    const auto differs = std::mismatch(wanted.begin(), wanted.end(), made.begin());
    alike += static_cast<std::size_t>(differs.first - wanted.begin());
    if (differs.second != made.end()) return fail(Code::refused, "differs");
    return {};
  });
  const bool made_all = writer.write(sample.parts.content).has_value() && writer.finish().has_value();
  return made_all ? alike : std::min(alike, sample.file.size() - 1);
}

bool makes_file(const Sample& sample, const GzipRecipe& recipe) {
  return bytes_alike(sample, recipe) == sample.file.size();
}

GzipRecipe recipe_for(const Sample& sample, unsigned level, unsigned memory_level,
                      GzipStrategy strategy = GzipStrategy::normal, unsigned window_bits = 15) {
  return {to_bytes(sample.file.first(sample.parts.header_bytes)),
          static_cast<std::uint8_t>(level),
          static_cast<std::uint8_t>(memory_level),
          static_cast<std::uint8_t>(window_bits),
          strategy,
          {}};
}

// Levels, the most likely first. The header's mark shows whether it is the fastest, the slowest or another one.
std::array<unsigned, 9> likely_levels(const Sample& sample) {
  switch (sample.file[8]) {
    case 2: return {9, 8, 6, 7, 5, 4, 3, 2, 1};
    case 4: return {1, 2, 3, 4, 5, 6, 7, 8, 9};
    default: return {6, 9, 5, 7, 8, 4, 3, 2, 1};
  }
}

// The memory levels that programs use. 8 goes first: where both make the file, it costs a device less memory.
std::optional<GzipRecipe> find_common(const Sample& sample) {
  for (const unsigned level : likely_levels(sample)) {
    for (const unsigned memory_level : {8U, 9U}) {
      GzipRecipe recipe = recipe_for(sample, level, memory_level);
      if (makes_file(sample, recipe)) return recipe;
    }
  }
  return std::nullopt;
}

void set_cuts(GzipRecipe& recipe, const std::vector<std::uint64_t>& places) {
  recipe.cuts.clear();
  std::uint64_t last = 0;
  for (const std::uint64_t place : places) {
    recipe.cuts.push_back(static_cast<std::uint32_t>(place - last));
    last = place;
  }
}

// Cuts only where zlib would not end a block by itself: wherever the files part, the block that starts there gets its
// end.
bool cut_one_by_one(const Sample& sample, GzipRecipe& recipe) {
  std::vector<std::uint64_t> places;
  std::size_t alike_before = 0;
  for (int round = 0; round < limits::kGzipRoundsMax; ++round) {
    set_cuts(recipe, places);
    const std::size_t alike = bytes_alike(sample, recipe);
    if (alike == sample.file.size()) return true;
    if (round > 0 && alike <= alike_before) return false;
    alike_before = alike;
    const auto& ends = sample.parts.block_ends;
    const auto end =
        std::find_if(ends.begin(), ends.end(), [&](const GzipBlockEnd& e) { return e.file_bits >= (alike + 1) * 8; });
    if (end == ends.end() || end->content_bytes == 0 || (!places.empty() && end->content_bytes <= places.back()))
      return false;
    places.push_back(end->content_bytes);
  }
  return false;
}

bool cut_everywhere(const Sample& sample, GzipRecipe& recipe) {
  std::vector<std::uint64_t> places;
  for (const GzipBlockEnd& end : sample.parts.block_ends) {
    if (end.content_bytes > (places.empty() ? 0 : places.back())) places.push_back(end.content_bytes);
  }
  if (places.empty() || places.size() > limits::kGzipCutsMax) return false;
  set_cuts(recipe, places);
  return makes_file(sample, recipe);
}

// GNU gzip: zlib's memory level 9, but blocks that end early.
std::optional<GzipRecipe> find_with_cuts(const Sample& sample) {
  if (sample.parts.block_ends.empty()) return std::nullopt;
  for (const unsigned level : likely_levels(sample)) {
    for (const unsigned memory_level : {9U, 8U}) {
      GzipRecipe recipe = recipe_for(sample, level, memory_level);
      if (cut_one_by_one(sample, recipe) || cut_everywhere(sample, recipe)) return recipe;
    }
  }
  return std::nullopt;
}

// All other settings of zlib.
std::optional<GzipRecipe> find_rare(const Sample& sample) {
  std::vector<GzipRecipe> recipes;
  for (const unsigned level : likely_levels(sample)) {
    for (unsigned memory_level = 1; memory_level <= 7; ++memory_level)
      recipes.push_back(recipe_for(sample, level, memory_level));
  }
  for (const unsigned memory_level : {8U, 9U}) {
    for (const unsigned level : {6U, 9U}) {
      recipes.push_back(recipe_for(sample, level, memory_level, GzipStrategy::filtered));
      recipes.push_back(recipe_for(sample, level, memory_level, GzipStrategy::fixed_codes));
    }
    recipes.push_back(recipe_for(sample, 6, memory_level, GzipStrategy::huffman_only));
    recipes.push_back(recipe_for(sample, 6, memory_level, GzipStrategy::run_length));
  }
  for (const unsigned level : {6U, 9U}) {
    for (unsigned window_bits = 9; window_bits <= 14; ++window_bits) {
      recipes.push_back(recipe_for(sample, level, 8, GzipStrategy::normal, window_bits));
    }
  }
  const auto found = std::find_if(recipes.begin(), recipes.end(),
                                  [&](const GzipRecipe& recipe) { return makes_file(sample, recipe); });
  if (found == recipes.end()) return std::nullopt;
  return std::move(*found);
}

}  // namespace

std::optional<GzipFound> find_gzip_recipe(ByteView file) {
  auto parts = unpack_gzip(file, limits::kGzipFindBytesMax);
  if (!parts || parts->header_bytes > limits::kGzipHeaderBytesMax) return std::nullopt;
  const Sample sample{file, *parts};
  auto recipe = find_common(sample);
  if (!recipe) recipe = find_with_cuts(sample);
  if (!recipe) recipe = find_rare(sample);
  if (!recipe) return std::nullopt;
  return GzipFound{std::move(*recipe), std::move(parts->content)};
}

}  // namespace instar::delta

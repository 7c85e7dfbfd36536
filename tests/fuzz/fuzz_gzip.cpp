// gzip inside a delta: recipes, files made from them, bases that are read, and files that a recipe is looked for.
#include <algorithm>
#include <cstdint>

#include "core/base/assert.hpp"
#include "core/delta/gzip_stream.hpp"
#include "core/delta/make/gzip_finder.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_gzip {
namespace {

using namespace instar::delta;

struct Outcome {
  bool sound = false;
  Bytes content;
};

// Reads `file` to its end, `piece_bytes` of content at a time, at most 4 MB.
Outcome read_all(ByteView file, std::size_t piece_bytes) {
  GzipReader reader([&](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    const std::size_t at = std::min<std::uint64_t>(offset, file.size());
    const std::size_t count = std::min(out.size(), file.size() - at);
    std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(at), count, out.begin());
    return count;
  });
  Outcome outcome;
  Bytes piece(piece_bytes);
  while (outcome.content.size() < 4U << 20) {
    const auto got = reader.read_at(outcome.content.size(), piece);
    if (!got.has_value()) {
      INSTAR_ASSERT(got.error().code == Code::corrupt);
      return outcome;
    }
    INSTAR_ASSERT(*got <= piece.size());
    outcome.content.insert(outcome.content.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*got));
    if (*got < piece.size()) {
      outcome.sound = true;
      INSTAR_ASSERT(reader.read_at(outcome.content.size() + 1, piece).value() == 0);
      return outcome;
    }
  }
  return outcome;
}

// A recipe has one encoding; what is made with it does not depend on pieces, and has the content in it.
void recipe(ByteView input) {
  artifact::ByteCursor cursor(input);
  const GzipRecipe recipe = read_gzip_recipe(cursor);
  if (cursor.starved() || cursor.broken()) return;
  Bytes again;
  append_gzip_recipe(again, recipe);
  INSTAR_ASSERT(again == to_bytes(input.first(cursor.position())));

  const ByteView content = input.subspan(cursor.position());
  const auto make = [&](std::size_t piece_bytes, const GzipRecipe& with) -> Result<Bytes> {
    Bytes file;
    GzipWriter writer(with, [&](ByteView made) -> Status {
      file.insert(file.end(), made.begin(), made.end());
      return {};
    });
    for (std::size_t at = 0; at < content.size(); at += piece_bytes) {
      INSTAR_CHECK(writer.write(content.subspan(at, std::min(piece_bytes, content.size() - at))));
    }
    INSTAR_CHECK(writer.finish());
    return file;
  };
  INSTAR_ASSERT(make(content.size() + 1, recipe) == make(7, recipe));
  GzipRecipe plain_header = recipe;
  plain_header.header = usual_gzip_header(recipe.level);
  const auto file = make(content.size() + 1, plain_header);
  if (!file.has_value()) return;
  const Outcome outcome = read_all(*file, 1000);
  INSTAR_ASSERT(outcome.sound && outcome.content == to_bytes(content));
}

// Any cut of the reads gives the same verdict and content.
void base(ByteView input) {
  if (input.empty()) return;
  const Outcome fine = read_all(input.subspan(1), input[0] + std::size_t{1});
  const Outcome coarse = read_all(input.subspan(1), 100'000);
  INSTAR_ASSERT(fine.sound == coarse.sound);
  if (fine.sound) INSTAR_ASSERT(fine.content == coarse.content);
}

void finder(ByteView input) {
  const auto found = find_gzip_recipe(input);
  if (!found.has_value()) return;
  const Outcome outcome = read_all(input, 1000);
  INSTAR_ASSERT(!outcome.sound || outcome.content == found->content);
}

void run(ByteView data) {
  const ByteView input = data.subspan(1);
  switch (data[0] % 3) {
    case 0: recipe(input); break;
    case 1: base(input); break;
    default: finder(input); break;
  }
}

}  // namespace
}  // namespace instar::fuzz_gzip

INSTAR_FUZZ_TARGET(gzip, instar::fuzz_gzip::run)

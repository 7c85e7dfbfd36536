// A bundle: what `instar-device install` reads from a stick.
#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "files/bundle.hpp"
#include "tests/fuzz/memory_file.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_bundle {
namespace {

using files::Bundle;
using files::BundlePart;

// The parts lie one after the other, and end where the file ends; nothing outside of a part can be read.
void bundle(ByteView input) {
  const fuzz::MemoryFile file(input);
  const auto bundle = Bundle::open(file.path());
  if (!bundle.has_value()) {
    INSTAR_ASSERT(!bundle.error().message.empty());
    return;
  }
  INSTAR_ASSERT(bundle->parts().size() <= limits::kBundlePartsMax);
  std::uint64_t at = bundle->parts().empty() ? input.size() : bundle->parts().front().offset;
  for (const auto& part : bundle->parts()) {
    INSTAR_ASSERT(part.offset == at && part.bytes <= input.size() - at);
    at += part.bytes;
    const auto whole = bundle->read(part, 0, part.bytes);
    INSTAR_ASSERT(whole.has_value());
    INSTAR_ASSERT(std::ranges::equal(*whole, input.subspan(part.offset, part.bytes)));
    INSTAR_ASSERT(!bundle->read(part, part.bytes, 1).has_value());
    INSTAR_ASSERT(!bundle->read(part, 1, part.bytes).has_value());
    INSTAR_ASSERT(!bundle->read(part, ~std::uint64_t{0}, 2).has_value());
  }
  INSTAR_ASSERT(at == input.size());
  for (const auto kind : {BundlePart::root, BundlePart::manifest, BundlePart::pack}) {
    const auto only = bundle->only(kind, 100);
    if (only.has_value()) INSTAR_ASSERT(only->size() <= 100);
  }
}

}  // namespace
}  // namespace instar::fuzz_bundle

INSTAR_FUZZ_TARGET(bundle, instar::fuzz_bundle::bundle)

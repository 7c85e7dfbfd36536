// The device's own state file, with a checksum that holds: what is left when storage lies.
#include <cstdint>

#include "core/base/assert.hpp"
#include "core/revision/state_codec.hpp"
#include "core/trust/digest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace instar;
  Bytes file(data, data + size);
  const auto checksum = trust::digest(file);
  file.insert(file.end(), checksum.bytes.begin(), checksum.bytes.end());
  const auto first = revision::decode_state(file);
  if (!first.has_value()) return 0;
  const Bytes written = revision::encode_state(*first);
  const auto second = revision::decode_state(written);
  INSTAR_ASSERT(second.has_value());
  INSTAR_ASSERT(*second == *first);
  INSTAR_ASSERT(revision::encode_state(*second) == written);
  return 0;
}

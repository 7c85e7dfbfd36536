// The device's own state file and the anchor beside it, with checksums that hold: what is left when storage lies. The
// first byte picks one.
#include "core/base/assert.hpp"
#include "core/revision/anchor.hpp"
#include "core/revision/state_codec.hpp"
#include "core/trust/digest.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_state {
namespace {

Bytes with_checksum(ByteView input) {
  Bytes file = to_bytes(input);
  const auto checksum = trust::digest(file);
  file.insert(file.end(), checksum.bytes.begin(), checksum.bytes.end());
  return file;
}

void state(ByteView input) {
  (void)revision::decode_state(input);
  const auto first = revision::decode_state(with_checksum(input));
  if (!first.has_value()) return;
  const Bytes written = revision::encode_state(*first);
  const auto second = revision::decode_state(written);
  INSTAR_ASSERT(second.has_value());
  INSTAR_ASSERT(*second == *first);
  INSTAR_ASSERT(revision::encode_state(*second) == written);
  // Its own anchor never moves it.
  auto raised = *first;
  INSTAR_ASSERT(!revision::raise_to(raised, revision::anchor_of(*first)) && raised == *first);
}

void anchor(ByteView input) {
  (void)revision::decode_anchor(input);
  const auto first = revision::decode_anchor(with_checksum(input));
  if (!first.has_value()) return;
  const auto second = revision::decode_anchor(revision::encode_anchor(*first));
  INSTAR_ASSERT(second.has_value() && *second == *first);
  revision::DeviceState state;
  (void)revision::raise_to(state, *first);
  INSTAR_ASSERT(!revision::raise_to(state, *first));
}

void run(ByteView data) {
  const ByteView input = data.subspan(1);
  if (data[0] % 2 == 0) {
    state(input);
  } else {
    anchor(input);
  }
}

}  // namespace
}  // namespace instar::fuzz_state

INSTAR_FUZZ_TARGET(state, instar::fuzz_state::run)

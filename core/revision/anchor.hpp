// What must outlive a damaged state file: the newest root document and how far this device has obeyed. A second small
// file (docs/formats/anchor.md), which is replaced before the state file whenever one of these changes.
#pragma once

#include <cstdint>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/revision/device_state.hpp"

namespace instar::revision {

struct Anchor {
  Bytes root;  // envelope of the root document
  std::uint64_t highest_sequence = 0;
  Bytes assignment;  // envelope that is obeyed; empty: none
  friend bool operator==(const Anchor&, const Anchor&) = default;
};

[[nodiscard]] Anchor anchor_of(const DeviceState& state);

[[nodiscard]] Bytes encode_anchor(const Anchor& anchor);
// Errors: corrupt (checksum: a torn or rotten file), too_large, malformed (whole, but not an anchor, or its root
// document is not signed by the keys that it names), unsupported (a later format).
[[nodiscard]] Result<Anchor> decode_anchor(ByteView bytes);

// Raises `state` to what the anchor says where that is further: the document of the higher version counts, with its
// sequence (a document that replaces release keys starts sequences over); of the same version the higher sequence. A
// state without an assignment gets the anchor's, one without a root document all of it. True: the state was behind.
[[nodiscard]] bool raise_to(DeviceState& state, const Anchor& anchor);

}  // namespace instar::revision

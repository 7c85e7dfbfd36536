#include "core/revision/anchor.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/root.hpp"

namespace instar::revision {
namespace {

constexpr std::string_view kAnchorMagic = "INAN";
constexpr std::uint8_t kAnchorFormat = 1;
constexpr std::size_t kAnchorChecksumBytes = 32;
constexpr std::size_t kAnchorHeadBytes = 4 + 1 + 8 + 4 + 4;

void append_number(Bytes& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint64_t number_at(ByteView in, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i > 0; --i) value = value << 8 | in[at + i - 1];
  return value;
}

}  // namespace

Anchor anchor_of(const DeviceState& state) {
  return {state.root, state.history.highest_sequence, state.assignment};
}

Bytes encode_anchor(const Anchor& anchor) {
  Bytes out = to_bytes(kAnchorMagic);
  out.push_back(kAnchorFormat);
  append_number(out, anchor.highest_sequence, 8);
  append_number(out, anchor.root.size(), 4);
  append_number(out, anchor.assignment.size(), 4);
  out.insert(out.end(), anchor.root.begin(), anchor.root.end());
  out.insert(out.end(), anchor.assignment.begin(), anchor.assignment.end());
  const auto checksum = trust::digest(out);
  out.insert(out.end(), checksum.bytes.begin(), checksum.bytes.end());
  return out;
}

Result<Anchor> decode_anchor(ByteView bytes) {
  if (bytes.size() <= kAnchorHeadBytes + kAnchorChecksumBytes)
    return fail(Code::corrupt, "anchor of " + std::to_string(bytes.size()) + " bytes is cut off");
  if (bytes.size() > limits::kAnchorBytesMax)
    return fail(Code::too_large, "anchor is over " + std::to_string(limits::kAnchorBytesMax) + " bytes");
  const auto body = bytes.first(bytes.size() - kAnchorChecksumBytes);
  if (!std::ranges::equal(trust::digest(body).bytes, bytes.last(kAnchorChecksumBytes)))
    return fail(Code::corrupt, "anchor does not match its checksum");
  if (as_text(body.first(kAnchorMagic.size())) != kAnchorMagic) return fail(Code::malformed, "this is no anchor");
  if (body[4] != kAnchorFormat) {
    return fail(Code::unsupported, "anchor has format " + std::to_string(body[4]) + "; this client knows " +
                                       std::to_string(kAnchorFormat));
  }
  const auto root_bytes = number_at(body, 13, 4);
  const auto assignment_bytes = number_at(body, 17, 4);
  if (kAnchorHeadBytes + root_bytes + assignment_bytes != body.size())
    return fail(Code::malformed, "anchor has other lengths than it says");
  Anchor anchor;
  anchor.highest_sequence = number_at(body, 5, 8);
  anchor.root = to_bytes(body.subspan(kAnchorHeadBytes, root_bytes));
  anchor.assignment = to_bytes(body.subspan(kAnchorHeadBytes + root_bytes));
  if (const auto version = trust::claimed_version(anchor.root); !version)
    return fail(Code::malformed, "the root document in the anchor: " + version.error().message);
  return anchor;
}

bool raise_to(DeviceState& state, const Anchor& anchor) {
  const auto anchored = trust::claimed_version(anchor.root);
  if (!anchored) return false;
  const auto held = state.root.empty() ? Result<std::uint32_t>(0) : trust::claimed_version(state.root);
  if (!held || *held > *anchored) return false;
  const bool lacks_groups = state.assignment.empty() && !anchor.assignment.empty();
  if (lacks_groups) state.assignment = anchor.assignment;
  if (*held == *anchored) {
    if (state.history.highest_sequence >= anchor.highest_sequence) return lacks_groups;
    state.history.highest_sequence = anchor.highest_sequence;
    return true;
  }
  state.root = anchor.root;
  state.history.highest_sequence = anchor.highest_sequence;
  state.history.refused.clear();  // the signers have changed
  return true;
}

}  // namespace instar::revision

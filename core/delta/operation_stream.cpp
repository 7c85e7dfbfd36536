#include "core/delta/operation_stream.hpp"

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::delta {
namespace {

constexpr std::size_t kReadBytes = 1024;
// More than one operation at its largest: three texts of kPathBytesMax, xattrs of kXattrBytesMax, and their numbers.
constexpr std::size_t kLargestOperationBytes = 4 * limits::kPathBytesMax + 2 * limits::kXattrBytesMax;

}  // namespace

Result<bool> OperationStream::read_more() {
  const std::size_t before = pending_.size();
  INSTAR_ASSERT(before <= kLargestOperationBytes);
  pending_.resize(before + kReadBytes);
  INSTAR_TRY(const std::size_t got, bytes_(std::span(pending_).subspan(before)));
  INSTAR_ASSERT(got <= kReadBytes);
  pending_.resize(before + got);
  return got > 0;
}

Status OperationStream::read_version() {
  INSTAR_TRY(const bool more, read_more());
  if (!more) return fail(Code::malformed, "the index delta is empty");
  const std::uint8_t version = pending_.front();
  if (version != kIndexDeltaVersion) {
    return fail(Code::unsupported, "the index delta has version " + std::to_string(version) + "; this version reads " +
                                       std::to_string(kIndexDeltaVersion));
  }
  pending_.erase(pending_.begin());
  version_read_ = true;
  return {};
}

Status OperationStream::expect_no_more() {
  if (pending_.empty()) {
    INSTAR_TRY(const bool more, read_more());
    if (!more) return {};
  }
  return fail(Code::malformed, "the index delta goes on after its end");
}

Result<IndexOperation> OperationStream::next() {
  if (!version_read_) INSTAR_CHECK(read_version());
  while (true) {
    artifact::ByteCursor cursor(pending_);
    IndexOperation operation = read_operation(cursor);
    if (cursor.broken()) return fail(cursor.error());
    if (!cursor.starved()) {
      pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(cursor.position()));
      if (operation.step == Step::end) INSTAR_CHECK(expect_no_more());
      return operation;
    }
    INSTAR_TRY(const bool more, read_more());
    if (!more) return fail(Code::malformed, "the index delta ends too early");
  }
}

}  // namespace instar::delta

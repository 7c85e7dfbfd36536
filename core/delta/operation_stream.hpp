// Reads the bytes of an index delta piece by piece, as operations.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/delta/index_delta_form.hpp"

namespace instar::delta {

// Memory: one operation's worst case, about 8 KB twice.
class OperationStream {
 public:
  // Writes the delta's next bytes to the given buffer and returns how many. 0 at the end.
  using DeltaBytes = std::function<Result<std::size_t>(std::span<std::uint8_t>)>;
  explicit OperationStream(DeltaBytes bytes) : bytes_(std::move(bytes)) {}

  // The next operation. Step::end comes once, after it was seen that no byte follows.
  // Errors: malformed, too_large, unsupported (a later version), those of the input.
  [[nodiscard]] Result<IndexOperation> next();

 private:
  // False at the end.
  [[nodiscard]] Result<bool> read_more();
  [[nodiscard]] Status read_version();
  [[nodiscard]] Status expect_no_more();

  DeltaBytes bytes_;
  Bytes pending_;  // read, not yet used
  bool version_read_ = false;
};

}  // namespace instar::delta

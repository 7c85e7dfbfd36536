#include "core/delta/block_writer.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/delta/file_control.hpp"

namespace instar::delta {
namespace {

constexpr std::size_t kCopyBytes = 16 * 1024;

tl::unexpected<Error> wrong_steps(const char* what) {
  return fail(Code::malformed, std::string("a part of the delta ") + what);
}

tl::unexpected<Error> another_library() {
  return fail(Code::unsupported,
              "this device compresses a block of the file otherwise than the publisher did: its library for that "
              "differs; another pack is taken");
}

}  // namespace

BlockWriter::BlockWriter(const BlockHead& head, ControlReader& control, ReadAt old, WriteOut out)
    : head_(head), control_(control), old_(std::move(old)), out_(std::move(out)) {}

void BlockWriter::begin_part(std::uint32_t part, std::uint8_t spec) noexcept {
  INSTAR_ASSERT(!step_ && spec < head_.specs.size());
  part_ = part;
  spec_ = spec;
}

Status BlockWriter::load() {
  if (step_) return {};
  INSTAR_TRY(step_, read_block_step(control_, head_.block_bytes, head_.specs[spec_].method, copied_));
  switch (step_->kind) {
    case BlockStepKind::store:
    case BlockStepKind::hold:
    case BlockStepKind::drop: left_ = step_->value; break;
    case BlockStepKind::full:
    case BlockStepKind::block: left_ = step_->content; break;
    case BlockStepKind::end:
    case BlockStepKind::copy:
    case BlockStepKind::held: left_ = 0; break;
  }
  if (step_->kind == BlockStepKind::hold) {
    if (step_->value > head_.block_bytes - held_bytes_) return wrong_steps("holds more than a block");
    hold(step_->value);
  }
  return {};
}

void BlockWriter::hold(std::uint32_t bytes) noexcept {
  if (held_bytes_ == 0) held_part_ = part_;
  held_bytes_ += bytes;
}

bool BlockWriter::needs_content() const noexcept {
  return left_ > 0;
}

Result<bool> BlockWriter::advance() {
  INSTAR_CHECK(load());
  if (needs_content() || step_->kind == BlockStepKind::end) return false;
  INSTAR_CHECK(end_step());
  return true;
}

Status BlockWriter::take(ByteView content) {
  while (!content.empty()) {
    INSTAR_TRY(const bool advanced, advance());
    if (advanced) continue;
    if (!needs_content()) return wrong_steps("has content that no step takes");
    const ByteView some = content.first(std::min<std::size_t>(content.size(), left_));
    INSTAR_CHECK(take_some(some));
    content = content.subspan(some.size());
    left_ -= static_cast<std::uint32_t>(some.size());
    if (left_ == 0) INSTAR_CHECK(end_step());
  }
  return {};
}

Status BlockWriter::take_some(ByteView content) {
  switch (step_->kind) {
    case BlockStepKind::store: return put(content);
    case BlockStepKind::drop: return {};
    case BlockStepKind::hold:
      held_.reserve(head_.block_bytes);
      held_.insert(held_.end(), content.begin(), content.end());
      return {};
    case BlockStepKind::full:
    case BlockStepKind::block:
      if (makes_streams()) return take_of_stream(content);
      block_.reserve(head_.block_bytes);
      block_.insert(block_.end(), content.begin(), content.end());
      return {};
    case BlockStepKind::end:
    case BlockStepKind::copy:
    case BlockStepKind::held: break;
  }
  return fail(Code::internal, "a step of a delta took content that it does not want");
}

Status BlockWriter::end_step() {
  const BlockStep step = *step_;
  step_.reset();
  switch (step.kind) {
    case BlockStepKind::copy: return copy(step);
    case BlockStepKind::held: return put_held(step.value);
    case BlockStepKind::full:
    case BlockStepKind::block: {
      if (makes_streams()) return end_stream();
      INSTAR_CHECK(put_block(block_, step.value));
      block_.clear();
      return {};
    }
    case BlockStepKind::store:
    case BlockStepKind::hold:
    case BlockStepKind::drop:
    case BlockStepKind::end: break;
  }
  return {};
}

Status BlockWriter::end_part() {
  INSTAR_CHECK(load());
  if (step_->kind != BlockStepKind::end) return wrong_steps("has steps for more content than there is");
  step_.reset();
  return {};
}

Status BlockWriter::skip_part() {
  while (true) {
    INSTAR_CHECK(load());
    const BlockStep step = *step_;
    step_.reset();
    left_ = 0;
    switch (step.kind) {
      case BlockStepKind::end: return {};
      case BlockStepKind::hold:
      case BlockStepKind::drop: break;
      case BlockStepKind::held:
        INSTAR_CHECK(move_on(step.value == 0 ? held_bytes_ : step.value));
        held_bytes_ = 0;
        held_.clear();
        break;
      case BlockStepKind::store:
      case BlockStepKind::copy:
      case BlockStepKind::full:
      case BlockStepKind::block: INSTAR_CHECK(move_on(step.value)); break;
    }
  }
}

Status BlockWriter::finish() const {
  return held_bytes_ == 0 ? Status{} : wrong_steps("leaves content held that goes into no block");
}

BlockProgress BlockWriter::progress() const noexcept {
  return {held_bytes_ > 0 ? held_part_ : part_, made_};
}

Status BlockWriter::copy(const BlockStep& step) {
  if (made_ + step.value <= there_) return move_on(step.value);
  packed_.resize(kCopyBytes);
  for (std::uint32_t done = 0; done < step.value;) {
    const auto some = std::span(packed_).first(std::min<std::size_t>(kCopyBytes, step.value - done));
    INSTAR_TRY(const std::size_t got, old_(std::uint64_t{step.from} + done, some));
    if (got != some.size()) return fail(Code::corrupt, "a file of the base is shorter than it was");
    INSTAR_CHECK(put(some));
    done += static_cast<std::uint32_t>(some.size());
  }
  return {};
}

Status BlockWriter::put_held(std::uint32_t bytes) {
  const std::uint32_t all = bytes == 0 ? held_bytes_ : bytes;
  if (made_ + all <= there_) {
    INSTAR_CHECK(move_on(all));
  } else if (held_.size() != held_bytes_) {
    return wrong_steps("needs content from before the place where this device goes on");
  } else {
    INSTAR_CHECK(bytes == 0 ? put(held_) : put_block(held_, bytes));
  }
  held_.clear();
  held_bytes_ = 0;
  return {};
}

Status BlockWriter::put_block(ByteView content, std::uint32_t bytes) {
  if (made_ + bytes <= there_) return move_on(bytes);
  if (encoder_spec_ != spec_) {
    encoder_ = BlockEncoder::make(head_.specs[spec_]);
    encoder_spec_ = spec_;
  }
  // As much room as the publisher gave it: some encoders give up before all of it is full.
  packed_.resize(head_.block_bytes);
  INSTAR_TRY(const std::size_t made, encoder_->encode(content, packed_));
  if (made != bytes) return another_library();
  return put(ByteView(packed_).first(bytes));
}

// Nothing is made of a stream that is there already.
Status BlockWriter::take_of_stream(ByteView content) {
  if (left_ == step_->content) {
    stream_end_ = made_ + step_->value;
    if (stream_end_ > there_) {
      stream_ = BlockStreamEncoder::make(head_.specs[spec_], [this](ByteView bytes) -> Status {
        if (bytes.size() > stream_end_ - made_) return another_library();
        return put(bytes);
      });
    }
  }
  return stream_ ? stream_->write(content) : Status{};
}

Status BlockWriter::end_stream() {
  if (!stream_) return move_on(stream_end_ - made_);
  INSTAR_CHECK(stream_->finish());
  stream_.reset();
  return made_ == stream_end_ ? Status{} : another_library();
}

Status BlockWriter::put(ByteView bytes) {
  const std::uint64_t before = made_;
  INSTAR_CHECK(move_on(bytes.size()));
  if (made_ <= there_) return {};
  return out_(before < there_ ? bytes.subspan(static_cast<std::size_t>(there_ - before)) : bytes);
}

Status BlockWriter::move_on(std::uint64_t bytes) {
  made_ += bytes;
  if (made_ <= limits::kDeltaFileBytesMax) return {};
  return fail(Code::too_large, "a file of the delta is larger than 4 GiB");
}

}  // namespace instar::delta

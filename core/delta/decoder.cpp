#include "core/delta/decoder.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/delta/block_writer.hpp"
#include "core/delta/file_control.hpp"
#include "core/delta/gzip_stream.hpp"
#include "core/delta/lzma_decoder.hpp"
#include "core/delta/references.hpp"

namespace instar::delta {
namespace {
// Bytes that are handled at once. Twice as many are not faster.
constexpr std::size_t kBlockBytes = 16 * 1024;
constexpr std::uint64_t kStepBytes = 64;
}  // namespace

class Decoder::Impl {
 public:
  explicit Impl(const DeltaHeader& header)
      : header_(header),
        control_reader_([this](std::span<std::uint8_t> out) { return control_->read(out); }, header.uses_arm) {}

  Status begin(ReadAt body) {
    std::uint64_t offset = 0;
    for (std::size_t i = 0; i < kStreamCount; ++i) {
      auto& stream = i == 0 ? control_ : i == 1 ? difference_ : extra_;
      INSTAR_TRY(stream, LzmaDecoder::open(header_.streams[i], body, offset));
      offset += header_.streams[i].encoded_bytes;
    }
    return {};
  }

  Result<std::optional<FileStart>> next_file() {
    INSTAR_ASSERT(!under_way_);
    if (files_begun_ == header_.file_count) {
      if (control_->left() != 0 || difference_->left() != 0 || extra_->left() != 0) {
        return fail(Code::malformed, "the delta goes on after its last file");
      }
      return std::nullopt;
    }
    ++files_begun_;
    INSTAR_TRY(control_file_, control_reader_.file(header_.promise()));
    begun_ = false;
    under_way_ = true;
    resume_ = {};
    if (control_file_.is_blocks) {
      blocks_.emplace(std::move(control_file_.blocks));
      return FileStart{control_file_.base, control_file_.base_path, 0, false, true};
    }
    INSTAR_CHECK(read_operations());
    return FileStart{control_file_.base, control_file_.base_path, map_.now_bytes(), control_file_.is_gzip, false};
  }

  Result<bool> decode(const Base& base, const WriteOut& out, std::uint64_t bytes_max) {
    INSTAR_ASSERT(under_way_);
    if (blocks_) return decode_blocks(base, out, bytes_max);
    if (!begun_) INSTAR_CHECK(begin_file(base, out));
    INSTAR_TRY(const bool ended, decode_some(bytes_max));
    if (!ended) return false;
    INSTAR_CHECK(end_file());
    under_way_ = false;
    return true;
  }

  Result<bool> skip(std::uint64_t bytes_max) {
    INSTAR_ASSERT(under_way_ && !begun_);
    if (blocks_) return skip_blocks(bytes_max);
    INSTAR_TRY(const bool ended, skip_some(bytes_max));
    if (ended) under_way_ = false;
    return ended;
  }

  void resume(const BlockProgress& from) noexcept {
    INSTAR_ASSERT(blocks_ && !blocks_->writer);
    resume_ = from;
  }

  BlockProgress progress() const noexcept {
    INSTAR_ASSERT(under_way_ && blocks_);
    return blocks_->writer ? blocks_->writer->progress() : resume_;
  }

 private:
  // The file of blocks that is under way.
  struct Blocks {
    explicit Blocks(BlockHead from) : head(std::move(from)) {}
    BlockHead head;
    std::unique_ptr<BlockReader> reader;
    std::unique_ptr<BlockWriter> writer;
    std::unique_ptr<ExtentView> view;  // of the part
    std::uint32_t parts_begun = 0;
    bool in_part = false;
    bool passes_over = false;  // the part is not needed
  };

  Status read_operations() {
    map_.clear();
    INSTAR_CHECK(control_reader_.operations(map_, header_.operations_max));
    operation_ = 0;
    copied_ = inserted_ = 0;
    produced_ = 0;
    return {};
  }

  // Rebuilds some of the current file or part. Returns true at its end.
  Result<bool> decode_some(std::uint64_t bytes_max) {
    const std::uint64_t stop = produced_ + bytes_max;
    while (operation_ < map_.size()) {
      if (produced_ >= stop) return false;
      const Operation operation = map_.operation(operation_);
      if (copied_ < operation.copy_bytes) {
        INSTAR_CHECK(copy_some(operation));
      } else if (inserted_ < operation.extra_bytes) {
        INSTAR_CHECK(insert_some(operation));
      } else {
        next_operation();
      }
    }
    return true;
  }

  Result<bool> skip_some(std::uint64_t bytes_max) {
    while (operation_ < map_.size()) {
      if (bytes_max == 0) return false;
      const Operation operation = map_.operation(operation_);
      const std::uint32_t copy =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(operation.copy_bytes - copied_, bytes_max));
      INSTAR_CHECK(difference_->skip(copy));
      copied_ += copy;
      bytes_max -= copy;
      const std::uint32_t insert =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(operation.extra_bytes - inserted_, bytes_max));
      INSTAR_CHECK(extra_->skip(insert));
      inserted_ += insert;
      bytes_max -= insert;
      if (copied_ == operation.copy_bytes && inserted_ == operation.extra_bytes) next_operation();
    }
    return true;
  }

  Result<bool> decode_blocks(const Base& base, const WriteOut& out, std::uint64_t bytes_max) {
    if (!blocks_->writer) {
      if (!base.read) return fail(Code::malformed, "a file of the delta copies from a base that is not there");
      const BlockHead& head = blocks_->head;
      blocks_->reader = std::make_unique<BlockReader>(head.old, head.old_method, base.read, head.block_bytes,
                                                      head.old_dictionary_bytes);
      blocks_->writer = std::make_unique<BlockWriter>(blocks_->head, control_reader_, base.read, out);
      blocks_->writer->resume(resume_.bytes);
    }
    // What a step does counts as a few bytes, so that many of them do not take for ever.
    for (std::uint64_t spent = 0; spent < bytes_max; spent += kStepBytes) {
      if (!blocks_->in_part) {
        if (blocks_->parts_begun == blocks_->head.part_count) return end_blocks();
        INSTAR_CHECK(begin_part());
      }
      const std::uint64_t produced = produced_;
      const std::uint64_t made = blocks_->writer->progress().bytes;
      INSTAR_CHECK(go_on_with_part(bytes_max - spent));
      spent += std::max(blocks_->writer->progress().bytes - made, blocks_->in_part ? produced_ - produced : 0);
    }
    return false;
  }

  Result<bool> end_blocks() {
    if (blocks_->writer) INSTAR_CHECK(blocks_->writer->finish());
    blocks_.reset();
    under_way_ = false;
    return true;
  }

  Status begin_part() {
    INSTAR_TRY(auto part, control_reader_.part(blocks_->head));
    INSTAR_CHECK(read_operations());
    blocks_->in_part = true;
    blocks_->passes_over = blocks_->parts_begun < resume_.part;
    begun_ = false;
    control_file_ = std::move(part.file);
    blocks_->view.reset();
    if (!blocks_->writer) {
      // Of a file that is skipped only the steps are gone through.
      blocks_->writer = std::make_unique<BlockWriter>(blocks_->head, control_reader_, ReadAt(), WriteOut());
    }
    if (control_file_.base != BaseKind::none && blocks_->reader)
      blocks_->view = std::make_unique<ExtentView>(*blocks_->reader, std::move(part.extents));
    blocks_->writer->begin_part(blocks_->parts_begun++, part.spec);
    return {};
  }

  // Content of the part, or else its next step.
  Status go_on_with_part(std::uint64_t bytes_max) {
    Blocks& blocks = *blocks_;
    if (blocks.passes_over) {
      INSTAR_TRY(const bool skipped, skip_some(bytes_max));
      if (!skipped) return {};
      blocks.in_part = false;
      return blocks.writer->skip_part();
    }
    INSTAR_TRY(const bool advanced, blocks.writer->advance());
    if (advanced) return {};
    if (!begun_) {
      Base base;
      if (blocks.view) {
        base.size = blocks.view->size();
        base.read = [view = blocks.view.get()](std::uint64_t offset, std::span<std::uint8_t> out) {
          return view->read(offset, out);
        };
      }
      INSTAR_CHECK(begin_file(base, [&blocks](ByteView bytes) { return blocks.writer->take(bytes); }));
    }
    INSTAR_TRY(const bool ended, decode_some(std::min<std::uint64_t>(bytes_max, kBlockBytes)));
    if (!ended) return {};
    if (!content_ended_) {
      content_ended_ = true;
      INSTAR_CHECK(end_file());
      return {};
    }
    blocks.in_part = false;
    return blocks.writer->end_part();
  }

  Result<bool> skip_blocks(std::uint64_t bytes_max) {
    for (std::uint64_t spent = 0; spent < bytes_max; spent += kStepBytes) {
      if (!blocks_->in_part) {
        if (blocks_->parts_begun == blocks_->head.part_count) {
          blocks_->writer.reset();
          return end_blocks();
        }
        INSTAR_CHECK(begin_part());
      }
      const std::uint64_t some = std::min<std::uint64_t>(bytes_max - spent, kBlockBytes);
      spent += some;
      INSTAR_TRY(const bool skipped, skip_some(some));
      if (!skipped) continue;
      blocks_->in_part = false;
      INSTAR_CHECK(blocks_->writer->skip_part());
    }
    return false;
  }

  Status begin_file(const Base& base, const WriteOut& out) {
    begun_ = true;
    content_ended_ = false;
    base_ = base;
    out_ = out;
    first_.clear();
    held_ = 0;
    if (control_file_.base != BaseKind::none && !base_.read)
      return fail(Code::malformed, "a file of the delta copies from a base that is not there");
    if (control_file_.is_gzip) {
      gzip_writer_ = std::make_unique<GzipWriter>(control_file_.recipe, [this](ByteView bytes) { return out_(bytes); });
    }
    if (control_file_.base_is_gzip) gzip_reader_ = std::make_unique<GzipReader>(base_.read);
    if (control_file_.predicts) {
      elf_ = ElfImage::read(base_.read, base_.size);
      // Before format 4 there was no prediction for 32-bit Arm.
      if (elf_ && (elf_->machine() == Machine::arm) == control_file_.arm_modes.has_value())
        references_.emplace(*elf_, base_.read, map_, control_file_.arm_modes.value_or(ArmModes()));
    }
    return {};
  }

  Status end_file() {
    if (gzip_writer_) INSTAR_CHECK(gzip_writer_->finish());
    gzip_writer_.reset();
    gzip_reader_.reset();
    references_.reset();
    elf_.reset();
    base_ = {};
    out_ = nullptr;
    return {};
  }

  void next_operation() noexcept {
    ++operation_;
    copied_ = inserted_ = 0;
  }

  // Reads the next old bytes and differences of a copy after those that are held, and turns as many as possible into
  // new bytes.
  Status copy_some(const Operation& operation) {
    if (copied_ == 0 && held_ == 0 && references_) {
      references_->begin(operation.old_start, map_.now_start(operation_), operation.copy_bytes);
    }
    old_.resize(kBlockBytes);
    difference_bytes_.resize(kBlockBytes);
    now_.resize(kBlockBytes);
    std::size_t want = std::min<std::size_t>(kBlockBytes - held_, operation.copy_bytes - copied_ - held_);
    if (references_ && produced_ < ElfImage::kLayoutBytes) {
      want = std::min<std::size_t>(want, static_cast<std::size_t>(ElfImage::kLayoutBytes - produced_) - held_);
    }
    const auto old = std::span(old_).subspan(held_, want);
    INSTAR_CHECK(read_base(std::uint64_t{operation.old_start} + copied_ + held_, old));
    INSTAR_CHECK(difference_->read(std::span(difference_bytes_).subspan(held_, want)));
    held_ += want;
    std::size_t done = held_;
    if (references_) {
      done = references_->decode(ByteView(old_).first(held_), difference_bytes_.data(), now_.data());
    } else {
      for (std::size_t i = 0; i < held_; ++i) now_[i] = static_cast<std::uint8_t>(old_[i] + difference_bytes_[i]);
    }
    INSTAR_CHECK(emit(ByteView(now_).first(done)));
    copied_ += static_cast<std::uint32_t>(done);
    held_ -= done;
    std::copy_n(old_.begin() + static_cast<std::ptrdiff_t>(done), held_, old_.begin());
    std::copy_n(difference_bytes_.begin() + static_cast<std::ptrdiff_t>(done), held_, difference_bytes_.begin());
    return {};
  }

  Status insert_some(const Operation& operation) {
    now_.resize(kBlockBytes);
    std::size_t want = std::min<std::size_t>(kBlockBytes, operation.extra_bytes - inserted_);
    if (references_ && produced_ < ElfImage::kLayoutBytes) {
      want = std::min<std::size_t>(want, static_cast<std::size_t>(ElfImage::kLayoutBytes - produced_));
    }
    INSTAR_CHECK(extra_->read(std::span(now_).first(want)));
    inserted_ += static_cast<std::uint32_t>(want);
    return emit(ByteView(now_).first(want));
  }

  Status read_base(std::uint64_t offset, std::span<std::uint8_t> out) {
    if (out.empty()) return {};
    std::size_t got = 0;
    if (gzip_reader_) {
      INSTAR_TRY(got, gzip_reader_->read_at(offset, out));
    } else {
      if (offset > base_.size || out.size() > base_.size - offset)
        return fail(Code::corrupt, "a file of the base is shorter than it was");
      INSTAR_TRY(got, base_.read(offset, out));
    }
    if (got != out.size()) return fail(Code::corrupt, "a file of the base is shorter than it was");
    return {};
  }

  Status emit(ByteView bytes) {
    if (bytes.empty()) return {};
    if (references_ && produced_ < ElfImage::kLayoutBytes) {
      first_.reserve(ElfImage::kLayoutBytes);
      first_.insert(first_.end(), bytes.begin(), bytes.end());
      if (first_.size() >= ElfImage::kLayoutBytes) {
        references_->set_layout(ElfImage::read_layout(first_, map_.now_bytes()));
        first_ = Bytes();
      }
    }
    produced_ += bytes.size();
    return gzip_writer_ ? gzip_writer_->write(bytes) : out_(bytes);
  }

  DeltaHeader header_;
  std::unique_ptr<LzmaDecoder> control_;
  std::unique_ptr<LzmaDecoder> difference_;
  std::unique_ptr<LzmaDecoder> extra_;
  ControlReader control_reader_;
  std::uint32_t files_begun_ = 0;

  // The current file.
  bool under_way_ = false;
  bool begun_ = false;
  bool content_ended_ = false;
  FileControl control_file_;
  std::optional<Blocks> blocks_;
  BlockProgress resume_;
  CopyMap map_;
  Base base_;
  WriteOut out_;
  std::unique_ptr<GzipReader> gzip_reader_;
  std::unique_ptr<GzipWriter> gzip_writer_;
  std::optional<ElfImage> elf_;
  std::optional<References> references_;
  std::size_t operation_ = 0;
  std::uint32_t copied_ = 0;    // of its operation
  std::uint32_t inserted_ = 0;  // of its operation
  std::uint64_t produced_ = 0;  // bytes of the file, before they are compressed
  Bytes first_;                 // of the new file, until its layout is known
  // Old bytes and differences of the current copy that were read and are not yet turned into new ones.
  std::size_t held_ = 0;
  Bytes old_;
  Bytes difference_bytes_;
  Bytes now_;
};

Decoder::Decoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Decoder::~Decoder() = default;

Result<std::unique_ptr<Decoder>> Decoder::open(const DeltaHeader& header, ReadAt body) {
  auto impl = std::make_unique<Impl>(header);
  INSTAR_CHECK(impl->begin(std::move(body)));
  return std::unique_ptr<Decoder>(new Decoder(std::move(impl)));
}

Result<std::optional<FileStart>> Decoder::next_file() {
  return impl_->next_file();
}

Result<bool> Decoder::decode(const Base& base, const WriteOut& out, std::uint64_t bytes_max) {
  return impl_->decode(base, out, bytes_max);
}

void Decoder::resume(const BlockProgress& from) noexcept {
  impl_->resume(from);
}

BlockProgress Decoder::progress() const noexcept {
  return impl_->progress();
}

Result<bool> Decoder::skip(std::uint64_t bytes_max) {
  return impl_->skip(bytes_max);
}

}  // namespace instar::delta

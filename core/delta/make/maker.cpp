#include "core/delta/make/maker.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/delta/make/lzma_encoder.hpp"

namespace instar::delta {
namespace {

constexpr std::uint32_t kWindowBytes = 64 * 1024;

struct Setting {
  std::uint8_t literal_context_bits;
  std::uint8_t literal_position_bits;
  std::uint8_t position_bits;
};

// The smallest of all windows and settings; a larger window must gain 1 %, since it costs a device its size in memory.
Compressed compress_best(ByteView raw, const std::vector<std::uint32_t>& windows,
                         const std::vector<Setting>& settings) {
  std::optional<Compressed> best;
  for (const std::uint32_t window : windows) {
    if (best && window / 2 >= raw.size()) break;
    std::optional<Compressed> here;
    for (const Setting& setting : settings) {
      if (here && raw.size() > limits::kDeltaTryBytesMax) break;
      auto made = compress(raw, {.window_bytes = window,
                                 .literal_context_bits = setting.literal_context_bits,
                                 .literal_position_bits = setting.literal_position_bits,
                                 .position_bits = setting.position_bits});
      if (!here || made.bytes.size() < here->bytes.size()) here = std::move(made);
    }
    if (!best || here->bytes.size() * 100 < best->bytes.size() * 99) best = std::move(here);
  }
  return std::move(*best);
}

}  // namespace

class DeltaMaker::Impl {
 public:
  void add(const FileDelta& file) {
    if (file.control.is_blocks) {
      begin_blocks(file.control, file.size, file.blocks);
      for (const PartDelta& part : file.parts) add_part(part.control, part.content, part.steps);
      return;
    }
    append_file_control(control_, file.control);
    add_content(file);
    count_file(file.size, file.blocks);
  }

  void begin_blocks(const FileControl& control, std::uint64_t size, std::uint64_t blocks) {
    append_file_control(control_, control);
    count_file(size, blocks);
    header_.block_bytes_max = std::max(header_.block_bytes_max, control.blocks.block_bytes);
    header_.stretches_max = std::max(header_.stretches_max, static_cast<std::uint32_t>(control.blocks.old.size()));
    header_.block_methods |= method_bit(control.blocks.old_method);
    for (const BlockSpec& spec : control.blocks.specs) {
      header_.block_methods |= method_bit(spec.method);
      if (spec.method == BlockMethod::lzma2)
        header_.dictionary_bytes_max = std::max(header_.dictionary_bytes_max, spec.dictionary_bytes);
    }
    header_.dictionary_bytes_max = std::max(header_.dictionary_bytes_max, control.blocks.old_dictionary_bytes);
    copied_ = 0;
  }

  void add_part(const PartControl& control, const FileDelta& content, const std::vector<BlockStep>& steps) {
    append_part_control(control_, control);
    add_content(content);
    for (const BlockStep& step : steps) append_block_step(control_, step, copied_);
    append_block_step(control_, {}, copied_);
  }

  Made finish() {
    Made made{header_, {}};
    // Blocks of images take so much memory that the last window is too much beside them.
    std::vector<std::uint32_t> windows{kWindowBytes, 256 * 1024, limits::kDeltaWindowBytesMax};
    if ((header_.block_methods & ~kStreamMethods) != 0) windows.pop_back();
    const std::array<Compressed, kStreamCount> streams{
        compress_best(control_, {kWindowBytes}, {{1, 0, 1}, {3, 0, 0}, {0, 0, 0}}),
        compress_best(difference_, {kWindowBytes}, {{3, 0, 0}}),
        compress_best(extra_, windows, {{3, 0, 0}, {0, 0, 0}, {3, 0, 2}}),
    };
    for (std::size_t i = 0; i < kStreamCount; ++i) {
      made.header.streams[i] = streams[i].info;
      made.body.insert(made.body.end(), streams[i].bytes.begin(), streams[i].bytes.end());
    }
    return made;
  }

 private:
  void add_content(const FileDelta& file) {
    append_operations(control_, file.operations);
    difference_.insert(difference_.end(), file.difference.begin(), file.difference.end());
    extra_.insert(extra_.end(), file.extra.begin(), file.extra.end());
    header_.operations_max = std::max(header_.operations_max, static_cast<std::uint32_t>(file.operations.size()));
    header_.uses_gzip = header_.uses_gzip || file.control.is_gzip;
    header_.uses_arm = header_.uses_arm || file.control.arm_modes.has_value();
  }

  void count_file(std::uint64_t size, std::uint64_t blocks) {
    ++header_.file_count;
    header_.file_bytes += size;
    header_.file_blocks += blocks;
  }

  DeltaHeader header_;
  std::uint32_t copied_ = 0;  // where the last copied block of a file of blocks ended
  Bytes control_;
  Bytes difference_;
  Bytes extra_;
};

DeltaMaker::DeltaMaker() : impl_(std::make_unique<Impl>()) {}
DeltaMaker::~DeltaMaker() = default;

void DeltaMaker::add(const FileDelta& file) {
  impl_->add(file);
}

void DeltaMaker::begin_blocks(const FileControl& control, std::uint64_t size, std::uint64_t blocks) {
  impl_->begin_blocks(control, size, blocks);
}

void DeltaMaker::add_part(const PartControl& control, const FileDelta& content, const std::vector<BlockStep>& steps) {
  impl_->add_part(control, content, steps);
}

DeltaMaker::Made DeltaMaker::finish() {
  return impl_->finish();
}

}  // namespace instar::delta

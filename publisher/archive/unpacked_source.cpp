#include <archive_entry.h>

#include <utility>

#include "core/base/limits.hpp"
#include "publisher/archive/archive_handle.hpp"
#include "publisher/archive/archive_reader.hpp"

namespace instar::publisher {
namespace {

constexpr const char* kDamaged = "its compressed bytes are damaged or cut off";

}  // namespace

struct UnpackedSource::State {
  State(ByteSource& packed, std::uint64_t most) : input(packed), bytes_max(most) {}
  ArchiveInput input;
  std::uint64_t bytes_max;
  std::uint64_t bytes = 0;
  bool is_empty = false;
  ArchiveHandle handle;  // goes before what it reads from
};

UnpackedSource::UnpackedSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
UnpackedSource::~UnpackedSource() = default;

Result<std::unique_ptr<UnpackedSource>> UnpackedSource::open(ByteSource& packed, std::uint64_t bytes_max) {
  const PlainLocale plain;
  auto state = std::make_unique<State>(packed, bytes_max);
  state->handle.reset(archive_read_new());
  archive* const handle = state->handle.get();
  if (handle == nullptr) return fail(Code::internal, "no memory for libarchive");
  // Not all that libarchive has: some of it starts programs.
  for (const auto filter :
       {archive_read_support_filter_gzip, archive_read_support_filter_xz, archive_read_support_filter_lzma,
        archive_read_support_filter_zstd, archive_read_support_filter_bzip2, archive_read_support_filter_lz4})
    filter(handle);
  archive_read_support_format_raw(handle);
  archive_read_support_format_empty(handle);
  INSTAR_CHECK(open_archive_handle(handle, state->input, kDamaged));
  if (archive_filter_count(handle) - 1 > limits::kArchiveFiltersMax)
    return fail(Code::too_large,
                "it is compressed more than " + std::to_string(limits::kArchiveFiltersMax) + " times over");
  archive_entry* entry = nullptr;
  const int header = archive_read_next_header(handle, &entry);
  if (header != ARCHIVE_OK && header != ARCHIVE_EOF) return archive_failure(handle, state->input, kDamaged);
  state->is_empty = header == ARCHIVE_EOF;
  return std::unique_ptr<UnpackedSource>(new UnpackedSource(std::move(state)));
}

bool UnpackedSource::was_packed() const noexcept {
  return archive_filter_count(state_->handle.get()) > 1;
}

Result<std::size_t> UnpackedSource::read(std::span<std::uint8_t> out) {
  if (state_->is_empty) return std::size_t{0};
  const PlainLocale plain;
  const la_ssize_t got = archive_read_data(state_->handle.get(), out.data(), out.size());
  if (got < 0) return archive_failure(state_->handle.get(), state_->input, kDamaged);
  state_->bytes += static_cast<std::uint64_t>(got);
  if (state_->bytes > state_->bytes_max) {
    return fail(Code::too_large,
                "it unpacks to more than " + std::to_string(state_->bytes_max) + " bytes, which no artifact needs");
  }
  return static_cast<std::size_t>(got);
}

}  // namespace instar::publisher

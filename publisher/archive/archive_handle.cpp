#include "publisher/archive/archive_handle.hpp"

#include <utility>

namespace instar::publisher {
namespace {

// Called by libarchive.
la_ssize_t give_bytes(archive* /*handle*/, void* of, const void** bytes) noexcept {
  auto& input = *static_cast<ArchiveInput*>(of);
  auto got = input.source.read(input.buffer);
  if (!got) {
    input.error = std::move(got.error());
    return -1;
  }
  *bytes = input.buffer.data();
  return static_cast<la_ssize_t>(*got);
}

}  // namespace

PlainLocale::PlainLocale() noexcept
    : own_(::newlocale(LC_ALL_MASK, "C", nullptr)), before_(own_ != nullptr ? ::uselocale(own_) : nullptr) {}

PlainLocale::~PlainLocale() {
  if (own_ == nullptr) return;
  ::uselocale(before_);
  ::freelocale(own_);
}

Status open_archive_handle(archive* handle, ArchiveInput& input, const std::string& otherwise) {
  if (archive_read_open(handle, &input, nullptr, give_bytes, nullptr) == ARCHIVE_OK) return {};
  return archive_failure(handle, input, otherwise);
}

tl::unexpected<Error> archive_failure(archive* handle, const ArchiveInput& input, const std::string& otherwise) {
  if (input.error) return fail(*input.error);
  const char* const words = archive_error_string(handle);
  return fail(Code::malformed, words == nullptr ? otherwise : otherwise + ": " + words);
}

}  // namespace instar::publisher

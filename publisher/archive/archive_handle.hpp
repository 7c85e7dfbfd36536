// What both uses of libarchive share: its handle, and how it reads from a ByteSource.
#pragma once

#include <archive.h>
#include <locale.h>

#include <memory>
#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "publisher/archive/byte_source.hpp"

namespace instar::publisher {

struct FreeArchive {
  void operator()(archive* handle) const noexcept { archive_read_free(handle); }
};
using ArchiveHandle = std::unique_ptr<archive, FreeArchive>;

// From where libarchive gets its bytes. It must not move while the handle is in use.
struct ArchiveInput {
  explicit ArchiveInput(ByteSource& from) : source(from), buffer(kInputBytes) {}
  static constexpr std::size_t kInputBytes = 128 * 1024;
  ByteSource& source;
  Bytes buffer;
  std::optional<Error> error;  // of the source: it goes before what libarchive says
};

// While it lives, this thread has the locale "C": libarchive takes names as the bytes that they are. In a UTF-8 locale
// it would put accents together, and a name would become another one.
class PlainLocale {
 public:
  PlainLocale() noexcept;
  ~PlainLocale();
  PlainLocale(const PlainLocale&) = delete;
  PlainLocale& operator=(const PlainLocale&) = delete;

 private:
  locale_t own_;
  locale_t before_;
};

// Opens `handle` on `input`. `otherwise`: what it means when that does not work.
[[nodiscard]] Status open_archive_handle(archive* handle, ArchiveInput& input, const std::string& otherwise);
// Why libarchive went no further: the source's own error, or malformed with its words.
[[nodiscard]] tl::unexpected<Error> archive_failure(archive* handle, const ArchiveInput& input,
                                                    const std::string& otherwise);

}  // namespace instar::publisher

#include "device-client/staging/file_progress.hpp"

#include <string_view>

#include "core/trust/digest.hpp"
#include "files/files.hpp"

namespace instar::device {

namespace {

constexpr std::string_view kProgressMagic{"INPR\x01\0\0\0", 8};
constexpr std::size_t kNumbersAt = 40;
constexpr std::size_t kProgressBytes = kNumbersAt + 16 + 32;

std::uint64_t number_at(ByteView bytes, std::size_t at, unsigned count) {
  std::uint64_t number = 0;
  for (unsigned i = count; i > 0; --i) number = number << 8 | bytes[at + i - 1];
  return number;
}

}  // namespace

Bytes FileProgress::encode(std::uint32_t number, const delta::BlockProgress& progress) const {
  Bytes bytes = to_bytes(kProgressMagic);
  bytes.insert(bytes.end(), pack_.bytes.begin(), pack_.bytes.end());
  const auto put = [&](std::uint64_t value, unsigned count) {
    for (unsigned i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  };
  put(number, 4);
  put(progress.part, 4);
  put(progress.bytes, 8);
  const Hash256 check = trust::digest(bytes);
  bytes.insert(bytes.end(), check.bytes.begin(), check.bytes.end());
  return bytes;
}

std::optional<delta::BlockProgress> FileProgress::find(std::uint32_t number) const {
  const auto bytes = files::read_file(path_, kProgressBytes);
  if (!bytes || bytes->size() != kProgressBytes) return std::nullopt;
  const delta::BlockProgress progress{static_cast<std::uint32_t>(number_at(*bytes, kNumbersAt + 4, 4)),
                                      number_at(*bytes, kNumbersAt + 8, 8)};
  if (*bytes != encode(number, progress)) return std::nullopt;
  return progress;
}

Status FileProgress::note(std::uint32_t number, const delta::BlockProgress& progress) const {
  return files::write_file_atomic(path_, encode(number, progress), 0600);
}

}  // namespace instar::device

#include "device-client/staging/made_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "files/files.hpp"

namespace instar::device {

namespace {

constexpr std::string_view kMagic{"INML\x01\0\0\0", 8};
constexpr std::uint64_t kRecordsAt = 40;
constexpr std::uint64_t kRecordBytes = 36;

}  // namespace

Result<MadeLog> MadeLog::open(const std::string& path, const Hash256& of) {
  Bytes header = to_bytes(kMagic);
  header.insert(header.end(), of.bytes.begin(), of.bytes.end());
  MadeLog log;
  log.path_ = path;
  for (const bool is_new : {false, true}) {
    if (is_new) INSTAR_CHECK(files::write_file_atomic(path, header, 0600));
    auto file = files::open_file(path, O_RDWR | O_NOFOLLOW);
    if (!file) {
      if (!is_new && file.error().code == Code::not_found) continue;
      return fail(file.error());
    }
    log.file_ = std::move(*file);
    Bytes found(header.size());
    INSTAR_TRY(const std::size_t got, files::read_at(log.file_.get(), found, 0, path));
    if (got == found.size() && found == header) break;
    if (is_new) return fail(Code::io, path + " is not what was written just now");
  }
  struct stat status {};
  if (::fstat(log.file_.get(), &status) != 0) return files::os_error("looking at", path, errno);
  log.records_ = (static_cast<std::uint64_t>(status.st_size) - kRecordsAt) / kRecordBytes;
  return log;
}

Result<std::optional<MadeLog::Record>> MadeLog::read(std::uint64_t at) const {
  if (at >= records_) return std::nullopt;
  Bytes bytes(kRecordBytes);
  INSTAR_TRY(const std::size_t got, files::read_at(file_.get(), bytes, kRecordsAt + at * kRecordBytes, path_));
  if (got != bytes.size()) return std::nullopt;
  Record record;
  for (int i = 3; i >= 0; --i) record.number = record.number << 8 | bytes[static_cast<std::size_t>(i)];
  record.content = *Hash256::from_bytes(ByteView(bytes).subspan(4));
  return record;
}

Result<std::optional<Hash256>> MadeLog::find(std::uint32_t number) {
  while (true) {
    INSTAR_TRY(const auto record, read(at_));
    if (!record) return std::nullopt;
    if (record->number == number) return record->content;
    if (record->number > number) return std::nullopt;
    ++at_;
  }
}

Status MadeLog::note(std::uint32_t number, const Hash256& content) {
  INSTAR_TRY(const auto there, read(at_));
  // The number is between two that are noted, where there is no place for it. If the process is killed, the file is
  // made again.
  if (there && there->number != number) return {};
  Bytes bytes;
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
  bytes.insert(bytes.end(), content.bytes.begin(), content.bytes.end());
  INSTAR_CHECK(files::write_all_at(file_.get(), bytes, kRecordsAt + at_ * kRecordBytes, path_));
  if (!there) ++records_;
  return {};
}

}  // namespace instar::device

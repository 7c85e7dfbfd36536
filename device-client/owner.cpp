#include "device-client/owner.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/ids.hpp"
#include "core/base/limits.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

std::string folder_of(const std::string& state_dir) {
  return state_dir + "/owner";
}

std::string path_of(const std::string& state_dir) {
  return folder_of(state_dir) + "/word";
}

Status read_line(std::string_view line, revision::OwnerInstruction& word) {
  if (line.empty()) return {};
  if (line == "hold") {
    word.hold = true;
  } else if (line == "allow") {
    word.allow_any = true;
  } else if (line.starts_with("allow ") && is_name(line.substr(6))) {
    word.allowed = line.substr(6);
  } else {
    return fail(Code::malformed, "line '" + std::string(line.substr(0, 80)) + "' is none of: hold, allow, allow NAME");
  }
  return {};
}

}  // namespace

Result<revision::OwnerInstruction> read_owner_word(const std::string& state_dir) {
  revision::OwnerInstruction word;
  const auto bytes = files::read_file(path_of(state_dir), limits::kOwnerFileBytesMax);
  if (!bytes) {
    if (bytes.error().code == Code::not_found) return word;
    return fail(bytes.error());
  }
  auto text = as_text(*bytes);
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto status = read_line(text.substr(0, end), word);
    if (!status) return fail(with_context(std::move(status.error()), path_of(state_dir)));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return word;
}

Status write_owner_word(const std::string& state_dir, const revision::OwnerInstruction& word) {
  std::string text;
  if (word.hold) text += "hold\n";
  if (word.allow_any) text += "allow\n";
  if (!word.allowed.empty()) text += "allow " + word.allowed + "\n";
  INSTAR_CHECK(files::make_folders(folder_of(state_dir), 0700));
  return files::write_file_atomic(path_of(state_dir), as_bytes(text), 0600);
}

Result<OwnerWatch> OwnerWatch::start(const std::string& state_dir) {
  INSTAR_CHECK(files::make_folders(folder_of(state_dir), 0700));
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return fail(Code::io, std::string("cannot watch files: ") + std::strerror(errno));
  OwnerWatch watch(fd);
  if (::inotify_add_watch(fd, folder_of(state_dir).c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE) < 0) {
    return fail(Code::io, "cannot watch " + folder_of(state_dir) + ": " + std::strerror(errno));
  }
  return watch;
}

OwnerWatch::OwnerWatch(OwnerWatch&& other) noexcept : fd_(std::exchange(other.fd_, -1)), first_(other.first_) {}

OwnerWatch& OwnerWatch::operator=(OwnerWatch&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(first_, other.first_);
  return *this;
}

OwnerWatch::~OwnerWatch() {
  if (fd_ >= 0) ::close(fd_);
}

bool OwnerWatch::take_change() {
  bool changed = std::exchange(first_, false);
  alignas(inotify_event) std::array<char, 4096> events{};
  while (::read(fd_, events.data(), events.size()) > 0) changed = true;
  return changed;
}

}  // namespace instar::device

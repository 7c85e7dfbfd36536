#include "publisher/archive/image_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <utility>

#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "publisher/archive/archive_reader.hpp"
#include "publisher/archive/merged_tree.hpp"

namespace instar::publisher {
namespace {

constexpr std::uint32_t kCopyMode = 0600;

// The folders of hier(7) that no archive of an image has.
constexpr std::array<std::string_view, 10> kRootFolders = {"bin",  "etc",  "home", "lib", "opt",
                                                           "root", "sbin", "srv",  "usr", "var"};

bool is_root_folder(std::string_view name) {
  return std::ranges::find(kRootFolders, name) != kRootFolders.end();
}

Status each_entry(const std::string& path, const Work& work,
                  const std::function<Status(ArchiveReader&, const ArchiveEntry&)>& take) {
  INSTAR_TRY(files::Fd file, files::open_file(path, O_RDONLY));
  FileSource packed(std::move(file), path);
  INSTAR_TRY(const auto source, UnpackedSource::open(packed, limits::kArchiveFilesBytesMax));
  INSTAR_TRY(const auto reader, ArchiveReader::open(*source));
  ArchiveEntry entry;
  while (true) {
    INSTAR_CHECK(work.go_on());
    INSTAR_TRY(const bool is_there, reader->next(entry));
    if (!is_there) return {};
    INSTAR_CHECK(take(*reader, entry));
  }
}

// "a/b" and "../c" → "c". Empty: it leads out.
std::string beside(const std::string& link, const std::string& target) {
  std::vector<std::string> parts;
  const auto walk = [&](std::string_view path) {
    while (!path.empty()) {
      const auto slash = path.find('/');
      const auto part = path.substr(0, slash);
      path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
      if (part == "..") {
        if (parts.empty()) return false;
        parts.pop_back();
      } else if (!part.empty() && part != ".") {
        parts.emplace_back(part);
      }
    }
    return true;
  };
  const auto slash = link.rfind('/');
  if (slash != std::string::npos) static_cast<void>(walk(link.substr(0, slash)));
  if (target.starts_with('/') || !walk(target)) return {};
  std::string path;
  for (const auto& part : parts) path += (path.empty() ? "" : "/") + part;
  return path;
}

bool is_regular(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

Result<ImageFiles> ImageFiles::of_folder(const std::string& path) {
  ImageFiles files(path);
  INSTAR_TRY(files.folder_, files::open_file(path, O_RDONLY | O_DIRECTORY));
  return files;
}

Result<ImageFiles> ImageFiles::of_archive(const std::string& path, const std::string& scratch, const Work& work) {
  ImageFiles files(path);
  files.is_archive_ = true;
  INSTAR_TRY(files.folder_, files::open_file(scratch, O_RDONLY | O_DIRECTORY));
  std::uint64_t bytes = 0;
  std::size_t copies = 0;
  const auto take = [&](ArchiveReader& reader, const ArchiveEntry& entry) -> Status {
    INSTAR_TRY(const std::string name, tree_path(entry.path));
    if (entry.kind == ArchiveEntry::Kind::folder) return {};
    if (copies + files.links_.size() >= limits::kArchiveFilesMax) {
      return fail(Code::too_large,
                  "it has more than " + std::to_string(limits::kArchiveFilesMax) + " files, which no image has");
    }
    if (entry.kind == ArchiveEntry::Kind::symlink || entry.kind == ArchiveEntry::Kind::hardlink) {
      const bool is_hardlink = entry.kind == ArchiveEntry::Kind::hardlink;
      const std::string target = is_hardlink ? beside("", entry.target) : beside(name, entry.target);
      if (target.empty())
        return fail(Code::refused, "'" + shown_name(entry.path) + "' is a link that leads out of the archive");
      files.links_[name] = target;
      return {};
    }
    if (entry.kind != ArchiveEntry::Kind::file)
      return fail(Code::refused, "'" + shown_name(entry.path) + "' is a device, which no image consists of");
    const std::string copy = std::to_string(copies++);
    INSTAR_TRY(const files::Fd file,
               files::open_below(files.folder_.get(), copy, O_WRONLY | O_CREAT | O_TRUNC, scratch, kCopyMode));
    files.links_.erase(name);
    files.names_[name] = copy;
    const auto put = [&](std::uint64_t offset, ByteView piece) -> Status {
      INSTAR_CHECK(work.go_on());
      work.tell("reading " + path, bytes += piece.size(), 0);
      return files::write_all_at(file.get(), piece, offset, scratch + "/" + copy);
    };
    return reader.read_content(put);
  };
  INSTAR_CHECK(each_entry(path, work, take));
  return files;
}

bool ImageFiles::has(const std::string& name) const {
  return open(name).has_value();
}

std::string ImageFiles::shown(const std::string& name) const {
  return path_ + (is_archive_ ? ": " : "/") + name;
}

Result<files::Fd> ImageFiles::open(const std::string& name) const {
  std::string wanted = name;
  if (is_archive_) {
    for (std::size_t links = 0; links_.contains(wanted) && links < limits::kLinksFollowedMax; ++links)
      wanted = links_.at(wanted);
    const auto found = names_.find(wanted);
    if (found == names_.end()) return fail(Code::not_found, shown(name) + " is not there");
    wanted = found->second;
  }
  auto file = files::open_below(folder_.get(), wanted, O_RDONLY | O_NONBLOCK, path_);
  if (!file && file.error().code == Code::not_found) return fail(Code::not_found, shown(name) + " is not there");
  if (!file) {
    return fail(Code::refused, shown(name) + " cannot be read: " + file.error().message +
                                   ". Symbolic links are not followed in an image");
  }
  struct stat info {};
  if (::fstat(file->get(), &info) != 0) return files::os_error("looking at", shown(name), errno);
  if (!S_ISREG(info.st_mode)) return fail(Code::refused, shown(name) + " is no regular file");
  return file;
}

Result<Bytes> ImageFiles::read(const std::string& name) const {
  INSTAR_TRY(const files::Fd file, open(name));
  Bytes bytes(limits::kImageDocumentBytesMax + 1);
  INSTAR_TRY(const std::size_t got, files::read_at(file.get(), bytes, 0, shown(name)));
  if (got > limits::kImageDocumentBytesMax) {
    return fail(Code::too_large, shown(name) + " has more than " + std::to_string(limits::kImageDocumentBytesMax) +
                                     " bytes, which no document of an image has");
  }
  bytes.resize(got);
  return bytes;
}

Result<Bytes> read_blob(const ImageFiles& files, const Blob& blob) {
  INSTAR_TRY(auto bytes, files.read(blob.name));
  if (bytes.size() != blob.size) {
    return fail(Code::corrupt, files.shown(blob.name) + " has " + std::to_string(bytes.size()) +
                                   " bytes, the image says " + std::to_string(blob.size) + ": get the image again");
  }
  const auto digest = blob_digest(blob.digest.kind, bytes);
  if (digest != blob.digest) {
    return fail(Code::corrupt, files.shown(blob.name) + " has the digest " + digest.str() + ", the image says " +
                                   blob.digest.str() + ": get the image again");
  }
  return bytes;
}

Result<ArchiveContent> look_into_archive(const std::string& path, const Work& work) {
  std::set<std::string> names;
  bool has_root_folder = false;
  const auto look = [&](ArchiveReader& /*reader*/, const ArchiveEntry& entry) -> Status {
    auto name = tree_path(entry.path);
    if (!name) return {};  // said when the archive is read
    const std::string first = name->substr(0, name->find('/'));
    has_root_folder = has_root_folder || is_root_folder(first);
    if (names.size() < limits::kArchiveFilesMax) names.insert(*name);
    if (has_root_folder) return fail(Code::unavailable, "");  // enough was seen
    return {};
  };
  auto read = each_entry(path, work, look);
  if (has_root_folder) return ArchiveContent::root_file_system;
  if (!read) return fail(std::move(read.error()));
  const bool is_image =
      names.contains("manifest.json") || (names.contains("index.json") && names.contains("oci-layout"));
  return is_image ? ArchiveContent::container_image : ArchiveContent::root_file_system;
}

bool is_image_folder(const std::string& path) {
  if (std::ranges::any_of(kRootFolders,
                          [&](std::string_view name) { return files::exists(path + "/" + std::string(name)); }))
    return false;
  if (is_regular(path + "/index.json") && is_regular(path + "/oci-layout")) return true;
  if (!is_regular(path + "/manifest.json")) return false;
  const auto text = files::read_file(path + "/manifest.json", limits::kImageDocumentBytesMax);
  if (!text) return false;
  // An array is docker save's; an object of this version is what a registry has.
  return as_text(*text).find("\"Layers\"") != std::string_view::npos ||
         as_text(*text).find("\"schemaVersion\"") != std::string_view::npos;
}

}  // namespace instar::publisher

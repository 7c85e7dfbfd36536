// The files that a container image consists of, in a folder or out of an archive.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "files/posix.hpp"
#include "publisher/archive/blob_digest.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

class ImageFiles {
 public:
  // Those of a folder, read in place. No symbolic link is followed in it.
  [[nodiscard]] static Result<ImageFiles> of_folder(const std::string& path);
  // Those of an archive, copied into the folder `scratch`, which exists and is empty. Errors: those of UnpackedSource
  // and ArchiveReader, too_large, io, no_space, unavailable (stopped).
  [[nodiscard]] static Result<ImageFiles> of_archive(const std::string& path, const std::string& scratch,
                                                     const Work& work);

  [[nodiscard]] bool has(const std::string& name) const;
  // Opens a file for reading. Errors: not_found, refused (it is no regular file, or lies behind a symbolic link), io.
  [[nodiscard]] Result<files::Fd> open(const std::string& name) const;
  // Reads a whole document. Errors: those of open(), too_large (over limits::kImageDocumentBytesMax).
  [[nodiscard]] Result<Bytes> read(const std::string& name) const;
  // For messages: the archive or folder, and the file in it.
  [[nodiscard]] std::string shown(const std::string& name) const;
  // Of the archive or folder.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  explicit ImageFiles(std::string path) : path_(std::move(path)) {}
  std::string path_;
  files::Fd folder_;  // of the files themselves
  bool is_archive_ = false;
  std::map<std::string, std::string> names_;  // of an archive: name in it → name in `folder_`
  std::map<std::string, std::string> links_;  // of an archive: link → name in it
};

// A blob as its descriptor has it.
struct Blob {
  BlobDigest digest;
  std::uint64_t size = 0;
  std::string media_type;
  std::string name;  // of the file that it is in
};

// The document in a blob; size and digest are checked. Errors: those of ImageFiles::read, corrupt.
[[nodiscard]] Result<Bytes> read_blob(const ImageFiles& files, const Blob& blob);

// What a file holds, by the names in it.
enum class ArchiveContent : std::uint8_t { root_file_system, container_image };
// Reads the whole archive. Errors: those of UnpackedSource and ArchiveReader.
[[nodiscard]] Result<ArchiveContent> look_into_archive(const std::string& path, const Work& work);
// Whether a folder holds a container image: an OCI layout, what `docker save` unpacks to, or what skopeo calls dir.
[[nodiscard]] bool is_image_folder(const std::string& path);

}  // namespace instar::publisher

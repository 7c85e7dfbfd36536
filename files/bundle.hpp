// A release in one file, for a device without a link: the signed manifest, the root document with those before it, and
// the packs as they are on the operator's disk. docs/formats/bundle.md. The file itself is not trusted: only the
// signatures and hashes of its parts count.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "files/posix.hpp"

namespace instar::files {

// Frozen numbers.
enum class BundlePart : std::uint32_t { root = 1, manifest = 2, pack = 3, older_root = 4 };

// Writes a bundle, which is durable when this returns. A file of that name is replaced. `packs`: paths of pack files.
// `older_roots`: the versions of the root document before `root`, in their order, for devices that hold an older one.
// Errors: not_found, too_large, io.
[[nodiscard]] Status write_bundle(const std::string& path, ByteView root, ByteView manifest,
                                  const std::vector<std::string>& packs, const std::vector<Bytes>& older_roots = {});

class Bundle {
 public:
  struct Part {
    BundlePart kind{};
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };
  // Errors: not_found, io, malformed (no bundle), unsupported (of a later version), corrupt (shorter or longer than it
  // says).
  [[nodiscard]] static Result<Bundle> open(const std::string& path);

  [[nodiscard]] const std::vector<Part>& parts() const noexcept { return parts_; }
  // Reads `count` bytes from `offset` of the part on. Errors: io, corrupt (there are fewer).
  [[nodiscard]] Result<Bytes> read(const Part& part, std::uint64_t offset, std::uint64_t count) const;
  // Reads the only part of its kind. Errors: malformed (none, or two), too_large, those of read().
  [[nodiscard]] Result<Bytes> only(BundlePart kind, std::size_t bytes_max) const;
  // Reads all parts of the kind, in their order. Errors: too_large, those of read().
  [[nodiscard]] Result<std::vector<Bytes>> all(BundlePart kind, std::size_t bytes_max) const;

 private:
  Fd file_;
  std::string path_;
  std::vector<Part> parts_;
};

}  // namespace instar::files

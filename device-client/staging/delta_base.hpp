// The base of a delta. It is verified before anything is fetched for the delta: every file is hashed and checked
// against the index. Files that do not match are remembered. Memory does not grow with the tree.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device-client/staging/hashing.hpp"
#include "device-client/staging/stage.hpp"

namespace instar::device {

// An artifact of a staged revision of this device.
struct HeldArtifact {
  ArtifactId artifact;
  std::string folder;  // revisions/<n>/artifacts/<hash>
};

class DeltaBase {
 public:
  // Errors: not_found, io.
  [[nodiscard]] static Result<std::unique_ptr<DeltaBase>> open(const HeldArtifact& held, StagingLog log);

  // Checks some of it. Returns true when all has been checked, and the hash of its index is the artifact's id.
  // Errors: corrupt (the index, or more files than kDeltaDamagedMax do not match), io.
  [[nodiscard]] Result<bool> prove(StagingSlice slice);

  // --- after prove() ------------------------------------------------------------------------------------------
  [[nodiscard]] std::uint32_t damaged_files() const noexcept { return damaged_files_; }
  // For the first file that does not match: "revisions/3/…/etc/motd was changed on this device". Empty if there is
  // none.
  [[nodiscard]] const std::string& first_damage() const noexcept { return first_damage_; }
  // The size by the index of the file `path`, if its content is not what it should be.
  [[nodiscard]] std::optional<std::uint64_t> damaged_bytes(std::string_view path) const;
  // Whether mode, owner and xattrs of the file `path` are those of the index.
  [[nodiscard]] bool has_true_metadata(std::string_view path) const;

  [[nodiscard]] const StagingTree& tree() const noexcept { return tree_; }
  // Reads its entries once more, from the first.
  [[nodiscard]] Result<std::unique_ptr<IndexStream>> entries() const;

 private:
  struct Oddity {
    std::uint64_t path = 0;  // a digest
    std::uint64_t bytes = 0;
    bool content = false;  // the content differs; otherwise only metadata
  };
  DeltaBase() = default;
  [[nodiscard]] Status note(const std::string& what, bool content);
  [[nodiscard]] const Oddity* find(std::string_view path) const;

  std::string index_path_;
  ArtifactId artifact_;
  StagingTree tree_;
  StagingLog log_;
  std::unique_ptr<IndexStream> walk_;
  std::optional<artifact::Entry> entry_;  // being hashed
  std::optional<FileHash> hashing_;
  std::vector<Oddity> oddities_;  // sorted by path once all has been checked
  std::uint32_t damaged_files_ = 0;
  std::string first_damage_;
  bool proven_ = false;
};

}  // namespace instar::device

// The base of a delta, proven before anything is fetched for it: every file of it is hashed and held against its index.
// What does not match is remembered; memory does not grow with the tree.
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

  // Looks at some of it; true when all has been looked at, and its index is what the artifact's name promises.
  // Errors: corrupt (the index, or more files than kDeltaDamagedMax do not match), io.
  [[nodiscard]] Result<bool> prove(StagingSlice slice);

  // --- after prove() ------------------------------------------------------------------------------------------
  [[nodiscard]] std::uint32_t damaged_files() const noexcept { return damaged_files_; }
  // "revisions/3/…/etc/motd was changed on this device", of the first one; empty if there is none.
  [[nodiscard]] const std::string& first_damage() const noexcept { return first_damage_; }
  // The content of the file `path`, if that is not what it should be: its size by the index.
  [[nodiscard]] std::optional<std::uint64_t> damaged_bytes(std::string_view path) const;
  // Mode, owner and xattrs of the file `path` are those of the index.
  [[nodiscard]] bool has_true_metadata(std::string_view path) const;

  [[nodiscard]] const StagingTree& tree() const noexcept { return tree_; }
  // Its entries once more, from the first.
  [[nodiscard]] Result<std::unique_ptr<IndexStream>> entries() const;

 private:
  struct Oddity {
    std::uint64_t path = 0;  // digest
    std::uint64_t bytes = 0;
    bool content = false;  // else only metadata
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
  std::vector<Oddity> oddities_;  // by path once all has been seen
  std::uint32_t damaged_files_ = 0;
  std::string first_damage_;
  bool proven_ = false;
};

}  // namespace instar::device

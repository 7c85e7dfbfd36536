// One artifact on its way into a revision: what its two ways have in common. ArtifactStage makes a tree out of chunks
// of content (full, dedupe), DeltaStage out of a base and a delta. The session (staging_session.hpp) leads each through
// its phases; each call does a bounded piece of work and says whether its phase has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/artifact/codec.hpp"
#include "core/artifact/plan.hpp"
#include "core/revision/machine.hpp"
#include "core/wire/manifest.hpp"
#include "device-client/staging/chunks.hpp"
#include "device-client/staging/index.hpp"
#include "files/staging_tree.hpp"

namespace instar::device {

using files::StagingTree;

class ArtifactStage;
class StagingSource;

using StagingLog = std::function<void(int level, const std::string& message)>;

struct SpaceNeed {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
};

// What one call may do before it returns.
struct StagingSlice {
  std::uint64_t bytes = 1024 * 1024;
  std::uint32_t entries = 512;
};

// What a stage is made for.
struct StageSetup {
  std::string folder;  // revisions/<n>/artifacts/<hash>
  wire::Artifact artifact;
  wire::Pack pack;
  artifact::IndexRules rules;
  StagingLog log;
};

class Stage {
 public:
  // The other artifacts of the same revision that come before this one and have tables, and what older revisions hold.
  struct Neighbours {
    std::span<StagingSource> sources;
    std::vector<const ArtifactStage*> earlier;
  };
  // Why the pack cannot make all of the artifact; no files = it can make nothing.
  struct Shortfall {
    Error error;
    artifact::Missing missing;
  };

  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;

  [[nodiscard]] const ArtifactId& artifact() const noexcept { return setup_.artifact.id; }
  [[nodiscard]] const wire::Pack& pack() const noexcept { return setup_.pack; }
  // A base has the same artifact whole: nothing is fetched.
  [[nodiscard]] bool is_held() const noexcept { return held_; }
  // Itself, if it works with tables: then Neighbours::sources are of use to it, and it to others.
  [[nodiscard]] virtual const ArtifactStage* with_tables() const noexcept { return nullptr; }

  // --- the head -------------------------------------------------------------------------------------------
  // Looks which head chunks survived, by their hashes.
  [[nodiscard]] Result<bool> check_head();
  [[nodiscard]] bool is_head_complete() const noexcept;
  // Is the artifact on this device already?
  [[nodiscard]] virtual Result<bool> find_held(const Neighbours& neighbours, StagingSlice slice) = 0;
  // Nothing is written into the tree before. Errors: corrupt, malformed, refused, too_large, io.
  [[nodiscard]] virtual Result<bool> read_head() = 0;

  // --- what is there already --------------------------------------------------------------------------------
  // Decides for each file where its content comes from; proves by their hashes the files of older revisions that will
  // be used.
  [[nodiscard]] virtual Result<bool> match(const Neighbours& neighbours, StagingSlice slice) = 0;
  [[nodiscard]] virtual SpaceNeed space_needed(const Neighbours& neighbours, std::uint64_t block_bytes) const = 0;
  // Before the head is read: the least that will be needed, from what the manifest says. `shared_bytes_max`: content on
  // the device that may turn out to be the same; what is counted on here is taken from it.
  [[nodiscard]] virtual SpaceNeed space_foreseen(std::uint64_t& shared_bytes_max) const = 0;
  // Known at the latest after match(), grown at the latest after verify().
  [[nodiscard]] virtual std::optional<Shortfall> shortfall() const { return std::nullopt; }

  // --- the tree ---------------------------------------------------------------------------------------------
  // Takes back the further names that an interrupted finish had given to files.
  [[nodiscard]] virtual Result<bool> take_back_names(StagingSlice slice) = 0;
  [[nodiscard]] virtual Result<bool> lay_out(const Neighbours& neighbours, StagingSlice slice) = 0;
  // Chunks that are on this device in some way.
  [[nodiscard]] virtual Result<bool> fill(const Neighbours& neighbours, StagingSlice slice) = 0;

  // --- chunks from outside ----------------------------------------------------------------------------------
  // What ordinal `ordinal` must be, if that is known yet.
  [[nodiscard]] std::optional<artifact::ChunkRef> chunk(std::uint32_t ordinal) const;
  [[nodiscard]] bool has(std::uint32_t ordinal) const;
  [[nodiscard]] bool has_all() const noexcept;
  [[nodiscard]] bool is_pending(std::uint32_t ordinal) const;
  // Puts a decoded and verified chunk in its place.
  [[nodiscard]] Status store(std::uint32_t ordinal, ByteView decoded, bool fetched);
  [[nodiscard]] std::uint64_t pending_bytes() const noexcept { return pending_bytes_; }
  // All that was stored has reached the disk: remembers so durably, and returns the ordinals of those that were
  // fetched.
  [[nodiscard]] Result<std::vector<std::uint32_t>> mark_durable();
  // `half`: bytes held of one chunk that is not whole.
  struct Half {
    std::uint32_t ordinal = 0;
    std::uint32_t bytes = 0;
  };
  [[nodiscard]] revision::StagingWants wants(std::uint32_t revision, std::optional<Half> half, bool exact) const;

  // --- the end ----------------------------------------------------------------------------------------------
  // Makes what is still to be made, and holds all against the index: further names, metadata. is_damaged() afterwards:
  // something is not what it should be, and has been removed; all phases are gone through again.
  [[nodiscard]] virtual Result<bool> verify(const Neighbours& neighbours, StagingSlice slice) = 0;
  [[nodiscard]] bool is_damaged() const noexcept { return damaged_; }
  // With a shortfall after verify(): leaves the tree so that an ArtifactStage can go on from it.
  [[nodiscard]] virtual Status hand_over() { return {}; }
  [[nodiscard]] Result<bool> seal_folders(StagingSlice slice);
  // Removes what only the staging needed, leaves what later stagings can use.
  virtual void clean_up() = 0;

 protected:
  explicit Stage(StageSetup setup) : setup_(std::move(setup)) {}
  // Makes the folders.
  [[nodiscard]] Status open_folders();
  [[nodiscard]] std::string file(const char* name) const { return setup_.folder + "/" + name; }
  void remove_files(std::initializer_list<const char*> names);
  // An image's index has the entries of an image. Errors: malformed.
  [[nodiscard]] Status check_kind(const artifact::Entry& entry) const;
  [[nodiscard]] std::uint32_t head_count() const noexcept {
    return static_cast<std::uint32_t>(setup_.pack.head.size());
  }
  [[nodiscard]] std::uint64_t head_bytes() const noexcept { return head_offsets_.back(); }
  // Body chunk `body` as it must be; 0 <= body < have_.size().
  [[nodiscard]] virtual artifact::ChunkRef body_chunk(std::uint32_t body) const = 0;
  [[nodiscard]] virtual Status write_body(std::uint32_t body, ByteView decoded) = 0;
  // The head has been read: which body chunks `durable_` has need not be received.
  void take_body(ChunkBits durable, std::uint32_t count);

  StageSetup setup_;
  StagingTree tree_;
  files::Fd head_file_;
  bool held_ = false;
  bool damaged_ = false;
  bool body_known_ = false;
  std::vector<bool> have_;            // body chunks that need not be received
  std::optional<ChunkBits> durable_;  // synced

  struct Pending {
    std::uint32_t ordinal = 0;
    bool fetched = false;
  };
  // A body chunk is in its place, but may not have reached the disk.
  void note_found(std::uint32_t body, std::uint64_t bytes);

  std::vector<Pending> pending_;
  std::uint64_t pending_bytes_ = 0;

 private:
  std::vector<std::uint64_t> head_offsets_{0};  // one more than chunks: the last is the size of all
  std::vector<bool> head_have_;
  std::uint32_t head_checked_ = 0;
  std::unique_ptr<IndexStream> folders_;  // being sealed
};

}  // namespace instar::device

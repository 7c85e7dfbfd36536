// The staging of one artifact, and what its two ways have in common. ArtifactStage makes a tree from chunks of content
// (full, dedupe), DeltaStage from a base and a delta. The session (session.hpp) takes each through its phases. Each
// call does a bounded piece of work and says whether its phase has ended.
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
#include "core/wire/volume_paths.hpp"
#include "device-client/staging/chunks.hpp"
#include "device-client/staging/index.hpp"
#include "device-client/staging/link_groups.hpp"
#include "device-client/staging/running_trees.hpp"
#include "device-client/staging/xattr_support.hpp"
#include "files/staging_tree.hpp"

namespace instar::device {

using files::StagingTree;

class ArtifactStage;
class StagingSource;

using StagingLog = std::function<void(LogLevel level, const std::string& message)>;

// A block of ext4. A target of a symlink of kInlineLinkBytes or more takes one of its own.
inline constexpr std::uint64_t kBlockBytes = 4096;
inline constexpr std::size_t kInlineLinkBytes = 60;

struct SpaceNeed {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
};

// How much one call may do before it returns.
struct StagingSlice {
  std::uint64_t bytes = 1024 * 1024;
  std::uint32_t entries = 512;
};

// What a stage needs to know.
struct StageSetup {
  std::string folder;  // revisions/<n>/artifacts/<hash>
  wire::Artifact artifact;
  wire::Pack pack;
  wire::VolumePaths volumes;  // of the containers that run from the artifact
  artifact::IndexRules rules;
  StagingLog log;
  std::int64_t time = 1;             // of what is new in the tree, seconds since 1970
  std::vector<std::string> running;  // trees of the revision that runs
};

class Stage {
 public:
  // The artifacts of the same revision that come before this one and have tables, and the artifacts of older revisions.
  struct Neighbours {
    std::span<StagingSource> sources;
    std::vector<const ArtifactStage*> earlier;
  };
  // Why the pack cannot make all of the artifact. No files: it can make nothing.
  struct Shortfall {
    Error error;
    artifact::Missing missing;
  };

  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;

  [[nodiscard]] const ArtifactId& artifact() const noexcept { return setup_.artifact.id; }
  [[nodiscard]] const wire::Pack& pack() const noexcept { return setup_.pack; }
  // Whether a base has all of the same artifact, so that nothing is fetched.
  [[nodiscard]] bool is_held() const noexcept { return held_; }
  // Itself, if it works with tables. Then it can take from Neighbours::sources, and others can take from it.
  [[nodiscard]] virtual const ArtifactStage* with_tables() const noexcept { return nullptr; }

  // --- the head -------------------------------------------------------------------------------------------
  // Finds by their hashes which head chunks are still there.
  [[nodiscard]] Result<bool> check_head();
  [[nodiscard]] bool is_head_complete() const noexcept;
  // Finds whether the artifact is on this device already.
  [[nodiscard]] virtual Result<bool> find_held(const Neighbours& neighbours, StagingSlice slice) = 0;
  // Before this nothing is written into the tree. Errors: corrupt, malformed, refused, too_large, io.
  [[nodiscard]] virtual Result<bool> read_head() = 0;

  // --- what is there already --------------------------------------------------------------------------------
  // Decides for each file where its content comes from. Verifies by their hashes the files of older revisions that will
  // be used.
  [[nodiscard]] virtual Result<bool> match(const Neighbours& neighbours, StagingSlice slice) = 0;
  [[nodiscard]] virtual SpaceNeed space_needed(const Neighbours& neighbours, std::uint64_t block_bytes) const = 0;
  // Before the head is read: the least that will be needed, by the numbers of the manifest. `shared_bytes_max`: content
  // on the device that may turn out to be the same. What this stage counts on is subtracted from it.
  [[nodiscard]] virtual SpaceNeed space_foreseen(std::uint64_t& shared_bytes_max) const = 0;
  // It is known after match() at the latest, and does not grow after verify().
  [[nodiscard]] virtual std::optional<Shortfall> shortfall() const { return std::nullopt; }

  // --- the tree ---------------------------------------------------------------------------------------------
  // Removes the further names that an interrupted finish gave to files.
  [[nodiscard]] virtual Result<bool> take_back_names(StagingSlice slice) = 0;
  [[nodiscard]] virtual Result<bool> lay_out(const Neighbours& neighbours, StagingSlice slice) = 0;
  // Finds chunks that are on this device in some way.
  [[nodiscard]] virtual Result<bool> fill(const Neighbours& neighbours, StagingSlice slice) = 0;

  // --- chunks from outside ----------------------------------------------------------------------------------
  // The hash and sizes that chunk `ordinal` must have, if they are known yet.
  [[nodiscard]] std::optional<artifact::ChunkRef> chunk(std::uint32_t ordinal) const;
  [[nodiscard]] bool has(std::uint32_t ordinal) const;
  [[nodiscard]] bool has_all() const noexcept;
  [[nodiscard]] bool is_pending(std::uint32_t ordinal) const;
  // Writes a decoded and verified chunk to its place.
  [[nodiscard]] Status store(std::uint32_t ordinal, ByteView decoded, bool fetched);
  [[nodiscard]] std::uint64_t pending_bytes() const noexcept { return pending_bytes_; }
  // All stored chunks have reached the disk. Notes that durably, and returns the ordinals of those that were fetched.
  [[nodiscard]] Result<std::vector<std::uint32_t>> mark_durable();
  // `half`: the bytes of one chunk that has arrived in part.
  struct Half {
    std::uint32_t ordinal = 0;
    std::uint32_t bytes = 0;
  };
  [[nodiscard]] revision::StagingWants wants(std::uint32_t revision, std::optional<Half> half, bool exact) const;

  // --- the end ----------------------------------------------------------------------------------------------
  // Makes what is still missing, with further names and metadata, and checks all against the index. If is_damaged() is
  // true afterwards, something was wrong and has been removed; then all phases run again.
  [[nodiscard]] virtual Result<bool> verify(const Neighbours& neighbours, StagingSlice slice) = 0;
  [[nodiscard]] bool is_damaged() const noexcept { return damaged_; }
  // If there is a shortfall after verify(): leaves the tree in a state from which an ArtifactStage can go on.
  [[nodiscard]] virtual Status hand_over() { return {}; }
  [[nodiscard]] Result<bool> seal_folders(StagingSlice slice);
  // Removes what only the staging needed, and keeps what later stagings can use.
  virtual void clean_up() = 0;

 protected:
  explicit Stage(StageSetup setup) : setup_(std::move(setup)), xattrs_(setup_.folder) {}
  // Makes the folders.
  [[nodiscard]] Status open_folders();
  [[nodiscard]] std::string file(const char* name) const { return setup_.folder + "/" + name; }
  void remove_files(std::initializer_list<const char*> names);
  // Checks that the index of an image has the entries of an image, and that a tree has folders alone where a volume
  // will be, and that the file system keeps the xattrs. Every entry passes here before anything of the body is wanted.
  // Errors: malformed, refused, io, no_space.
  [[nodiscard]] Status check_entry(const artifact::Entry& entry);
  [[nodiscard]] std::uint32_t head_count() const noexcept {
    return static_cast<std::uint32_t>(setup_.pack.head.size());
  }
  [[nodiscard]] std::uint64_t head_bytes() const noexcept { return head_offsets_.back(); }
  // The hash and sizes that body chunk `body` must have; 0 <= body < have_.size().
  [[nodiscard]] virtual artifact::ChunkRef body_chunk(std::uint32_t body) const = 0;
  [[nodiscard]] virtual Status write_body(std::uint32_t body, ByteView decoded) = 0;
  // Called when the head has been read. Body chunks that `durable_` has need not be received.
  void take_body(ChunkBits durable, std::uint32_t count);

  StageSetup setup_;
  XattrSupport xattrs_;
  RunningTrees running_;
  LinkGroups groups_;
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
  // Notes that a body chunk is in its place, but may not have reached the disk.
  void note_found(std::uint32_t body, std::uint64_t bytes);

  std::vector<Pending> pending_;
  std::uint64_t pending_bytes_ = 0;

 private:
  std::vector<std::uint64_t> head_offsets_{0};  // one more than there are chunks: the last is the size of all
  std::vector<bool> head_have_;
  std::uint32_t head_checked_ = 0;
  std::unique_ptr<IndexStream> folders_;  // being sealed
};

}  // namespace instar::device

// One artifact on its way into a revision: its head, its tree, and which chunks of it are there. The session
// (staging_session.hpp) leads it through its phases; each call does a bounded piece of work and says whether its phase has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/artifact/codec.hpp"
#include "core/artifact/pack.hpp"
#include "core/revision/machine.hpp"
#include "core/trust/digest.hpp"
#include "core/wire/manifest.hpp"
#include "device-client/staging_chunks.hpp"
#include "device-client/staging_index.hpp"
#include "device-client/staging_source.hpp"
#include "files/staging_tree.hpp"

namespace instar::device {

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

class ArtifactStage {
 public:
  // The other artifacts of the same revision that come before this one, and what older revisions hold.
  struct Neighbours {
    std::span<StagingSource> sources;
    std::span<const std::unique_ptr<ArtifactStage>> earlier;
  };

  // Errors: unsupported (an image, a delta), io, no_space.
  [[nodiscard]] static Result<std::unique_ptr<ArtifactStage>> open(const std::string& folder, const wire::Artifact& artifact,
                                                                   const wire::Pack& pack, artifact::IndexRules rules, StagingLog log);

  [[nodiscard]] const Hash256& artifact() const noexcept { return artifact_.id; }
  [[nodiscard]] const wire::Artifact& description() const noexcept { return artifact_; }
  [[nodiscard]] const wire::Pack& pack() const noexcept { return pack_; }
  // A base has the same artifact whole: nothing is fetched.
  [[nodiscard]] bool is_held() const noexcept { return held_; }
  [[nodiscard]] bool has_index() const noexcept { return sealed_; }

  // --- the head -------------------------------------------------------------------------------------------
  // Looks which head chunks survived, by their hashes.
  [[nodiscard]] Result<bool> check_head();
  [[nodiscard]] bool is_head_complete() const noexcept;
  // Takes the index of a base that has the same artifact.
  [[nodiscard]] Status adopt(const StagingSource& base);
  // The base's files turned out not to match: the head is needed after all.
  void give_up_held();
  void confirm_held() noexcept { held_ = true; }
  // The head → index, contents and body chunks. Nothing is written into the tree before the index has been checked as a whole
  // against the signed artifact id. Errors: corrupt, malformed, refused, too_large, io.
  [[nodiscard]] Result<bool> read_head();

  // --- what is there already --------------------------------------------------------------------------------
  // Decides for each file where its content comes from; proves by their hashes the files that will be linked.
  [[nodiscard]] Result<bool> match(const Neighbours& neighbours, StagingSlice slice);
  [[nodiscard]] bool is_matched_whole() const noexcept;
  [[nodiscard]] SpaceNeed space_needed(const Neighbours& neighbours, std::uint64_t block_bytes) const;
  // Before the head is read: the least that will be needed, from what the manifest says. `shared_bytes_max`: content on the device that
  // may turn out to be the same; what is counted on here is taken from it.
  [[nodiscard]] SpaceNeed space_foreseen(std::uint64_t& shared_bytes_max) const;

  // --- the tree ---------------------------------------------------------------------------------------------
  // Takes back the further names that an interrupted finish had given to files.
  [[nodiscard]] Result<bool> take_back_names(StagingSlice slice);
  [[nodiscard]] Result<bool> lay_out(const Neighbours& neighbours, StagingSlice slice);
  // Chunks that are on this device in some way.
  [[nodiscard]] Result<bool> fill(const Neighbours& neighbours, StagingSlice slice);

  // --- chunks from outside ----------------------------------------------------------------------------------
  // What ordinal `ordinal` must be, if that is known yet.
  [[nodiscard]] std::optional<artifact::ChunkRef> chunk(std::uint32_t ordinal) const;
  [[nodiscard]] bool has(std::uint32_t ordinal) const;
  [[nodiscard]] bool has_all() const noexcept;
  [[nodiscard]] bool is_pending(std::uint32_t ordinal) const;
  // Puts a decoded and verified chunk in its place.
  [[nodiscard]] Status store(std::uint32_t ordinal, ByteView decoded, bool fetched);
  [[nodiscard]] std::uint64_t pending_bytes() const noexcept { return pending_bytes_; }
  // All that was stored has reached the disk: remembers so durably, and returns the ordinals of those that were fetched.
  [[nodiscard]] Result<std::vector<std::uint32_t>> mark_durable();
  // `half`: bytes held of one chunk that is not whole.
  struct Half {
    std::uint32_t ordinal = 0;
    std::uint32_t bytes = 0;
  };
  [[nodiscard]] revision::StagingWants wants(std::uint32_t revision, std::optional<Half> half, bool exact) const;

  // --- the end ----------------------------------------------------------------------------------------------
  // Every entry against the index, further names, metadata. A file that does not match is removed; is_damaged() is true then.
  [[nodiscard]] Result<bool> verify(const Neighbours& neighbours, StagingSlice slice);
  [[nodiscard]] bool is_damaged() const noexcept { return damaged_; }
  [[nodiscard]] Result<bool> seal_folders(StagingSlice slice);
  // Removes what only the staging needed, leaves what later stagings can use.
  void clean_up();

 private:
  enum class From : std::uint8_t { fetch, link, alias, sibling, copy };
  // Where a row's content comes from: chunks, another tree's file, the first row of the same content, an earlier artifact
  // of this revision, a copy of another tree's file.
  struct Plan {
    From from = From::fetch;
    std::uint16_t neighbour = 0;  // source or earlier artifact
    std::uint32_t row = 0;
  };
  // A file being hashed, piece by piece.
  struct Hashing {
    files::Fd file;
    trust::Hasher hasher;
    std::uint64_t offset = 0;
  };
  struct Candidate {
    std::uint16_t source = 0;
    std::uint32_t row = 0;
  };

  ArtifactStage() = default;
  [[nodiscard]] std::string file(const char* name) const { return folder_ + "/" + name; }
  [[nodiscard]] std::uint32_t head_count() const noexcept { return static_cast<std::uint32_t>(pack_.head.size()); }
  void count_entry(const artifact::Entry& entry);
  [[nodiscard]] Status take_head();
  [[nodiscard]] Status write_index();

  [[nodiscard]] std::vector<Candidate> link_candidates(const Neighbours& neighbours, const ContentRow& row) const;
  [[nodiscard]] Plan plan_without_link(const Neighbours& neighbours, std::uint32_t row) const;
  // Is the file of a candidate what its index says? Nothing when `bytes` ran out before that was clear.
  [[nodiscard]] std::optional<bool> is_true(const Neighbours& neighbours, const Candidate& candidate, const ContentRow& row,
                                            std::uint64_t& bytes);
  [[nodiscard]] bool shares_first(const ContentRow& row) const;
  // Hashes up to `bytes`, which it takes off; the digest when the file has ended.
  [[nodiscard]] Result<std::optional<Hash256>> hash_some(Hashing& hashing, std::uint64_t& bytes, const std::string& shown) const;

  [[nodiscard]] Status lay_out_entry(const Neighbours& neighbours, const artifact::Entry& entry);
  [[nodiscard]] Status lay_out_file(const Neighbours& neighbours, const artifact::Entry& entry);
  [[nodiscard]] Status copy_content(const StagingSource& source, std::uint32_t source_row, const artifact::Entry& entry);
  [[nodiscard]] std::vector<std::uint32_t> chunks_of(const ContentRow& row) const;
  [[nodiscard]] Status forget_chunks_of(const ContentRow& row);
  [[nodiscard]] bool needs_nothing(std::uint32_t body) const;
  [[nodiscard]] std::optional<Bytes> find_locally(const Neighbours& neighbours, std::uint32_t body);
  [[nodiscard]] std::optional<Bytes> read_back(std::uint32_t body) const;
  [[nodiscard]] Status write_body(std::uint32_t body, ByteView decoded);

  [[nodiscard]] Result<bool> verify_entry(const Neighbours& neighbours, const artifact::Entry& entry, std::uint64_t& bytes);
  [[nodiscard]] Result<bool> verify_file(const Neighbours& neighbours, const artifact::Entry& entry, std::uint64_t& bytes);
  [[nodiscard]] Status give_name(const artifact::Entry& entry, const ArtifactStage& owner, const std::string& path);
  [[nodiscard]] Status copy_name(const artifact::Entry& entry, int from, const std::string& shown);
  [[nodiscard]] Status finish_file(const artifact::Entry& entry, From from);
  [[nodiscard]] Status note_damage(const std::string& path, const std::string& what);

  std::string folder_;
  wire::Artifact artifact_;
  wire::Pack pack_;
  artifact::IndexRules rules_;
  StagingLog log_;
  StagingTree tree_;

  files::Fd head_file_;
  std::vector<std::uint64_t> head_offsets_;  // one more than chunks: the last is the size of all
  std::vector<bool> head_have_;
  std::uint32_t head_checked_ = 0;
  std::unique_ptr<artifact::PackHeadReader> head_reader_;
  std::uint64_t head_read_ = 0;
  bool held_ = false;
  bool sealed_ = false;  // contents_ is complete

  ContentTable contents_;
  std::vector<artifact::BodyChunk> body_;
  std::uint64_t folder_count_ = 0;
  std::uint64_t link_count_ = 0;
  std::uint64_t empty_count_ = 0;
  std::uint64_t special_count_ = 0;

  std::vector<Plan> plans_;
  std::uint32_t match_at_ = 0;
  std::optional<std::vector<Candidate>> candidates_;
  std::optional<Hashing> hashing_;

  std::unique_ptr<IndexStream> walk_;  // of the phase under way
  std::uint32_t walk_row_ = 0;
  std::optional<artifact::Entry> walk_entry_;  // being verified

  std::vector<bool> have_;  // body chunks that need not be received
  std::uint32_t fill_at_ = 0;
  std::optional<ChunkBits> durable_;  // synced
  std::optional<ChunkBits> written_;  // as far as the page cache knows
  struct Pending {
    std::uint32_t ordinal = 0;
    bool fetched = false;
  };
  std::vector<Pending> pending_;
  std::uint64_t pending_bytes_ = 0;
  files::Fd open_file_;  // the file written to last
  std::optional<std::uint32_t> open_row_;
  bool damaged_ = false;
};

}  // namespace instar::device

// For full and dedupe packs: makes a tree from chunks of its content stream, most of which may be on this device
// already. Memory: a table of all files and chunks of this tree, and of the trees that it can take from
// (docs/formats/staging.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/artifact/holes.hpp"
#include "core/artifact/pack.hpp"
#include "device-client/staging/hashing.hpp"
#include "device-client/staging/source.hpp"
#include "device-client/staging/stage.hpp"
#include "device-client/staging/sweep.hpp"

namespace instar::device {

class ArtifactStage final : public Stage {
 public:
  // Errors: unsupported (a delta), io, no_space.
  [[nodiscard]] static Result<std::unique_ptr<Stage>> open(StageSetup setup);

  [[nodiscard]] const ArtifactStage* with_tables() const noexcept override { return this; }
  // Uses a source that has the same artifact for all of it.
  [[nodiscard]] Result<bool> find_held(const Neighbours& neighbours, StagingSlice slice) override;
  // Reads index, contents and body chunks from the head. The whole index is checked against the signed artifact id.
  [[nodiscard]] Result<bool> read_head() override;
  [[nodiscard]] Result<bool> match(const Neighbours& neighbours, StagingSlice slice) override;
  [[nodiscard]] SpaceNeed space_needed(const Neighbours& neighbours, std::uint64_t block_bytes) const override;
  [[nodiscard]] SpaceNeed space_foreseen(std::uint64_t& shared_bytes_max) const override;
  [[nodiscard]] Result<bool> take_back_names(StagingSlice slice) override;
  [[nodiscard]] Result<bool> lay_out(const Neighbours& neighbours, StagingSlice slice) override;
  [[nodiscard]] Result<bool> fill(const Neighbours& neighbours, StagingSlice slice) override;
  // Checks every entry against the index, and makes further names and metadata. A file that does not match is removed.
  [[nodiscard]] Result<bool> verify(const Neighbours& neighbours, StagingSlice slice) override;
  void clean_up() override;

 private:
  enum class From : std::uint8_t { fetch, link, alias, sibling, copy };
  // Where a row's content comes from: chunks, another tree's file, the first row with the same content, an earlier
  // artifact of this revision, or a copy of another tree's file (which cannot or must not be linked).
  struct Plan {
    From from = From::fetch;
    std::uint16_t neighbour = 0;  // source or earlier artifact
    std::uint32_t row = 0;
  };
  struct Candidate {
    std::uint16_t source = 0;
    std::uint32_t row = 0;
  };

  explicit ArtifactStage(StageSetup setup) : Stage(std::move(setup)) {}
  [[nodiscard]] artifact::ChunkRef body_chunk(std::uint32_t body) const override { return body_[body].ref; }
  [[nodiscard]] Status write_body(std::uint32_t body, ByteView decoded) override;
  // Copies the index of a source that has the same artifact.
  [[nodiscard]] Status adopt(const StagingSource& base);
  // The source's files do not match their index, so the head is needed after all.
  void give_up_held();
  [[nodiscard]] bool is_matched_whole() const noexcept;
  void count_entry(const artifact::Entry& entry);
  [[nodiscard]] Status take_head();
  [[nodiscard]] Status write_index();
  void find_holes();

  [[nodiscard]] std::vector<Candidate> link_candidates(const Neighbours& neighbours, const ContentRow& row) const;
  [[nodiscard]] Plan plan_without_link(const Neighbours& neighbours, std::uint32_t row) const;
  // Whether the file of a candidate is what its index says. nullopt when `bytes` ran out before that was known.
  [[nodiscard]] std::optional<bool> is_true(const Neighbours& neighbours, const Candidate& candidate,
                                            const ContentRow& row, std::uint64_t& bytes);
  [[nodiscard]] bool shares_first(const ContentRow& row) const;
  [[nodiscard]] Result<Plan> plan_with(const Neighbours& neighbours, const Candidate& candidate,
                                       const ContentRow& row) const;
  // What the file of row `index` will take up on disk.
  [[nodiscard]] std::uint64_t bytes_on_disk(const Neighbours& neighbours, std::uint32_t index,
                                            std::uint64_t block_bytes) const;

  [[nodiscard]] Status lay_out_entry(const Neighbours& neighbours, const artifact::Entry& entry);
  [[nodiscard]] Status lay_out_file(const Neighbours& neighbours, const artifact::Entry& entry);
  // Makes the file of row `index`, with room for all of it but its holes.
  [[nodiscard]] Status make_room(std::uint32_t index, const artifact::Entry& entry);
  [[nodiscard]] Status copy_content(const StagingSource& source, std::uint32_t source_row,
                                    const artifact::Entry& entry);
  [[nodiscard]] std::vector<std::uint32_t> chunks_of(const ContentRow& row) const;
  [[nodiscard]] Status forget_chunks_of(const ContentRow& row);
  [[nodiscard]] bool needs_nothing(std::uint32_t body) const;
  [[nodiscard]] Status fill_zeros(std::uint32_t body);
  [[nodiscard]] std::optional<Bytes> find_locally(const Neighbours& neighbours, std::uint32_t body);
  [[nodiscard]] std::optional<Bytes> read_back(std::uint32_t body) const;

  [[nodiscard]] Result<bool> verify_entry(const Neighbours& neighbours, const artifact::Entry& entry,
                                          std::uint64_t& bytes);
  [[nodiscard]] Result<bool> verify_file(const Neighbours& neighbours, const artifact::Entry& entry,
                                         std::uint64_t& bytes);
  [[nodiscard]] Status give_name(const artifact::Entry& entry, const ArtifactStage& owner, const std::string& path);
  [[nodiscard]] Status copy_name(const artifact::Entry& entry, int from, const std::string& shown);
  [[nodiscard]] Status finish_file(const artifact::Entry& entry, From from);
  [[nodiscard]] Status note_damage(const std::string& path, const std::string& what);

  std::unique_ptr<artifact::PackHeadReader> head_reader_;
  std::uint64_t head_read_ = 0;
  bool sealed_ = false;  // contents_ is complete

  ContentTable contents_;
  std::vector<artifact::BodyChunk> body_;
  std::vector<bool> zeros_;                 // body chunks that are nothing but zeros: they need not be received
  std::vector<std::uint64_t> hole_blocks_;  // of each row with such chunks
  std::uint64_t folder_count_ = 0;
  std::uint64_t link_count_ = 0;
  std::uint64_t empty_count_ = 0;
  std::uint64_t special_count_ = 0;

  std::vector<Plan> plans_;
  std::uint32_t match_at_ = 0;
  std::optional<std::vector<Candidate>> candidates_;
  std::optional<FileHash> hashing_;

  std::unique_ptr<StagingSweep> sweep_;  // of a tree that a delta has made
  bool swept_ = false;
  std::unique_ptr<IndexStream> walk_;  // of the current phase
  std::uint32_t walk_row_ = 0;
  std::optional<artifact::Entry> walk_entry_;  // being verified

  std::uint32_t fill_at_ = 0;
  std::optional<ChunkBits> written_;  // chunks that were written, perhaps only to the page cache
  files::Fd open_file_;               // the file that was written to last
  std::optional<std::uint32_t> open_row_;
};

}  // namespace instar::device

// For delta packs: makes a tree from a base that this device holds and a few streams. The base is verified before any
// of the pack's body is fetched. Files that cannot be made because the base's file is damaged are left to another pack
// (shortfall(), hand_over()).
//
// It is also used, without any delta, for an artifact that this device holds already when its chosen pack is a delta.
//
// Memory: hashes of the body's chunks, the decoder's windows and a few buffers. Nothing grows with the tree.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/delta/delta_head.hpp"
#include "device-client/staging/delta_base.hpp"
#include "device-client/staging/delta_build.hpp"
#include "device-client/staging/stage.hpp"

namespace instar::device {

class DeltaStage final : public Stage {
 public:
  // `held`: the artifacts of this device's staged revisions. Errors: unsupported (another kind of pack), io, no_space.
  [[nodiscard]] static Result<std::unique_ptr<Stage>> open(StageSetup setup, std::vector<HeldArtifact> held);

  [[nodiscard]] Result<bool> find_held(const Neighbours& neighbours, StagingSlice slice) override;
  [[nodiscard]] Result<bool> read_head() override;
  // Verifies the base, then reads through the new index to find what it needs.
  [[nodiscard]] Result<bool> match(const Neighbours& neighbours, StagingSlice slice) override;
  [[nodiscard]] SpaceNeed space_needed(const Neighbours& neighbours, std::uint64_t block_bytes) const override;
  [[nodiscard]] SpaceNeed space_foreseen(std::uint64_t& shared_bytes_max) const override;
  [[nodiscard]] std::optional<Shortfall> shortfall() const override;
  // There is nothing to take back: a delta's files get their further names only at the end.
  [[nodiscard]] Result<bool> take_back_names(StagingSlice) override { return true; }
  // Makes room for the body.
  [[nodiscard]] Result<bool> lay_out(const Neighbours& neighbours, StagingSlice slice) override;
  // Finds which chunks of the body are in its file.
  [[nodiscard]] Result<bool> fill(const Neighbours& neighbours, StagingSlice slice) override;
  // Makes the tree.
  [[nodiscard]] Result<bool> verify(const Neighbours& neighbours, StagingSlice slice) override;
  [[nodiscard]] Status hand_over() override;
  void clean_up() override;

 private:
  explicit DeltaStage(StageSetup setup, std::vector<HeldArtifact> held)
      : Stage(std::move(setup)), held_artifacts_(std::move(held)) {}
  [[nodiscard]] artifact::ChunkRef body_chunk(std::uint32_t body) const override;
  [[nodiscard]] Status write_body(std::uint32_t body, ByteView decoded) override;

  [[nodiscard]] const HeldArtifact* find(const ArtifactId& artifact) const;
  [[nodiscard]] std::uint64_t body_bytes() const noexcept { return setup_.pack.body_bytes; }
  [[nodiscard]] Status take_head();
  [[nodiscard]] Status check_head_numbers() const;
  [[nodiscard]] Result<bool> has_body_file() const;
  [[nodiscard]] Result<bool> is_whole_in_file(std::uint32_t body) const;
  [[nodiscard]] std::uint64_t body_needed() const;
  [[nodiscard]] Result<DeltaBuild::Entries> new_entries() const;
  // Counts some of the new entries. Returns true when all have been counted.
  [[nodiscard]] Result<bool> survey(StagingSlice slice);
  [[nodiscard]] Status survey_entry(const delta::NewEntry& entry);
  void count_made(const artifact::Entry& entry, std::uint64_t bytes);
  // Whether a file with the content of the base's file `source` is copied from there instead of being linked.
  [[nodiscard]] bool is_copied(const delta::NewEntry& next, const std::string& source) const;
  [[nodiscard]] Status begin_build();
  [[nodiscard]] Status end_build();
  // The tree is not what was signed. The first time, all of it is made again from what is on disk. After that the pack
  // is given up.
  [[nodiscard]] Status make_again(const Error& error);
  // Whether the pack, not the disk, caused an error.
  [[nodiscard]] static bool blames_pack(Code code) noexcept;
  void give_up(Error error);
  [[nodiscard]] std::string describe_damage() const;

  std::vector<HeldArtifact> held_artifacts_;
  std::unique_ptr<DeltaBase> base_;
  bool proven_ = false;
  delta::DeltaHead head_;
  files::Fd body_file_;
  std::optional<Error> given_up_;
  artifact::Missing missing_;  // first the expected number, then the real one

  DeltaBuild::Entries survey_;
  bool surveyed_ = false;
  SpaceNeed need_;                 // for all but the decoded files
  std::uint64_t there_bytes_ = 0;  // the part of need_ that is on disk already

  std::uint32_t fill_at_ = 0;
  std::unique_ptr<DeltaBuild> build_;
};

}  // namespace instar::device

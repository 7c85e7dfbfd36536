// Makes a tree from a base and a delta, entry by entry in index order. Files that did not change are linked, files
// whose metadata changed are copied, and the others are decoded. The new index is written on the way. Memory does not
// grow with the tree.
//
// After a kill, the next process makes no finished file again. It hashes the files that the log names as finished, and
// skips their parts of the streams.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/delta/decoder.hpp"
#include "core/delta/index_delta.hpp"
#include "device-client/staging/delta_base.hpp"
#include "device-client/staging/file_progress.hpp"
#include "device-client/staging/hashing.hpp"
#include "device-client/staging/made_log.hpp"
#include "device-client/staging/stage.hpp"

namespace instar::device {

class DeltaBuild {
 public:
  using Entries = std::function<Result<const delta::NewEntry*>()>;
  struct Parts {
    StagingTree* tree = nullptr;      // must outlive the build, as must the base
    const DeltaBase* base = nullptr;  // verified
    const RunningTrees* running = nullptr;
    LinkGroups* groups = nullptr;  // of the tree
    Entries entries;
    std::unique_ptr<delta::Decoder> decoder;  // null: the pack rebuilds nothing
    MadeLog log;
    FileProgress progress;
    files::Fd index;  // is written from its start
    std::string index_path;
    artifact::IndexRules rules;
  };
  explicit DeltaBuild(Parts parts);

  // Returns true when all entries are done. Errors: malformed, corrupt, too_large, unsupported (the pack or the base is
  // not what it should be), and those of the disk.
  [[nodiscard]] Result<bool> step(StagingSlice slice);

  // --- after step() has returned true -----------------------------------------------------------------------
  // Files that could not be made because their base is damaged.
  [[nodiscard]] const artifact::Missing& missing() const noexcept { return missing_; }
  // The hash of the new index. nullopt if it is not known because of a missing file.
  [[nodiscard]] const std::optional<Hash256>& id() const noexcept { return id_; }

 private:
  // What is being done for the current entry. It may take more than one step.
  enum class Task : std::uint8_t {
    none,
    rehash,  // the log says that the file is finished
    copy,
    reread,  // the part of a file of blocks that is there already is hashed
    decode,
    skip,        // its part of the streams is skipped, because the file is finished
    skip_lost,   // its part of the streams is skipped, because its base is damaged
    hash_source  // the file was linked, and its content is not known yet
  };

  [[nodiscard]] Status begin_entry();
  [[nodiscard]] Status begin_hardlink();
  [[nodiscard]] Status begin_empty();
  [[nodiscard]] Status begin_same(const StagingTree& tree, const std::string& source, bool metadata_known);
  [[nodiscard]] Status begin_decode();
  // Returns true when the log says that the file is finished, and hashes it then.
  [[nodiscard]] Result<bool> begin_rehash();
  [[nodiscard]] Status begin_making();
  // Returns true when a part of the file of blocks is there, and begins with what follows it.
  [[nodiscard]] Result<bool> begin_reread();
  [[nodiscard]] Result<bool> work(std::uint64_t& bytes);
  [[nodiscard]] Result<bool> rehash(std::uint64_t& bytes);
  [[nodiscard]] Result<bool> copy(std::uint64_t& bytes);
  [[nodiscard]] Result<bool> reread(std::uint64_t& bytes);
  [[nodiscard]] Result<bool> decode(std::uint64_t& bytes);
  [[nodiscard]] Status note_progress();
  [[nodiscard]] Result<bool> skip(std::uint64_t& bytes);
  [[nodiscard]] Result<bool> hash_source(std::uint64_t& bytes);
  [[nodiscard]] Status write_out(ByteView bytes);
  [[nodiscard]] Status finish_made();
  [[nodiscard]] Status take_content(std::uint64_t size, const Hash256& content);
  [[nodiscard]] Status append();
  [[nodiscard]] Status lose(std::uint64_t bytes_if_unknown);
  [[nodiscard]] bool is_lost(const std::string& path) const;
  [[nodiscard]] Status finish();
  [[nodiscard]] artifact::Entry& entry() noexcept { return now_.entry; }

  Parts parts_;
  std::optional<artifact::IndexWriter> writer_;  // nullopt when the index cannot become complete
  std::uint64_t index_bytes_ = 0;
  delta::NewEntry now_;
  std::uint32_t number_ = 0;  // of the current entry
  Task task_ = Task::none;
  Task made_by_ = Task::none;  // copy or decode: how the file is made if it is not there
  std::optional<FileHash> hashing_;
  Hash256 logged_;

  // The file being made.
  delta::FileStart start_;
  std::string source_;  // the file that it is made from; empty: none
  files::Fd from_;
  std::uint64_t from_bytes_ = 0;
  files::Fd out_;
  std::uint64_t out_bytes_ = 0;
  trust::Hasher out_hash_;
  std::uint64_t unsynced_ = 0;
  delta::BlockProgress noted_;  // of a file of blocks: how far it is durable

  std::vector<std::uint64_t> lost_;  // digests of paths
  artifact::Missing missing_;
  std::optional<Hash256> id_;
};

}  // namespace instar::device

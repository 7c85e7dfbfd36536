// Makes a tree out of a base and a delta, entry by entry in index order: links what did not change, copies what changed
// its metadata only, decodes the rest, and writes the new index on the way. Memory does not grow with the tree.
//
// A process that was killed is followed by one that makes no finished file again: it hashes what the log says is
// finished, and passes over its part of the streams.
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
#include "device-client/staging/hashing.hpp"
#include "device-client/staging/made_log.hpp"
#include "device-client/staging/stage.hpp"

namespace instar::device {

class DeltaBuild {
 public:
  using Entries = std::function<Result<const delta::NewEntry*>()>;
  struct Parts {
    StagingTree* tree = nullptr;      // outlives the build, as the base does
    const DeltaBase* base = nullptr;  // proven
    Entries entries;
    std::unique_ptr<delta::Decoder> decoder;  // null: the pack rebuilds nothing
    MadeLog log;
    files::Fd index;  // written from its start
    std::string index_path;
    artifact::IndexRules rules;
  };
  explicit DeltaBuild(Parts parts);

  // True when all entries have been gone through. Errors: malformed, corrupt, too_large, unsupported (the pack, or what
  // it is made from, is not what it should be), and those of the disk.
  [[nodiscard]] Result<bool> step(StagingSlice slice);

  // --- when step() has said true ----------------------------------------------------------------------------
  // Files that could not be made because their base is damaged.
  [[nodiscard]] const artifact::Missing& missing() const noexcept { return missing_; }
  // What the new index hashes to; not known if something about a missing file is not.
  [[nodiscard]] const std::optional<Hash256>& id() const noexcept { return id_; }

 private:
  // What is being done for the entry under way, beyond one step perhaps.
  enum class Task : std::uint8_t {
    none,
    rehash,  // the file is finished, says the log
    copy,
    decode,
    skip,        // decoding is passed over: the file is finished
    skip_lost,   // the same: its base is damaged
    hash_source  // of a file that was linked: its content is not known yet
  };

  [[nodiscard]] Status begin_entry();
  [[nodiscard]] Status begin_hardlink();
  [[nodiscard]] Status begin_empty();
  [[nodiscard]] Status begin_same(const StagingTree& tree, const std::string& source, bool metadata_known);
  [[nodiscard]] Status begin_decode();
  // True when the log says that the file is finished: it is being rehashed.
  [[nodiscard]] Result<bool> begin_rehash();
  [[nodiscard]] Status begin_making();
  [[nodiscard]] Result<bool> work(std::uint64_t& bytes);
  [[nodiscard]] Result<bool> rehash(std::uint64_t& bytes);
  [[nodiscard]] Result<bool> copy(std::uint64_t& bytes);
  [[nodiscard]] Result<bool> decode(std::uint64_t& bytes);
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
  std::optional<artifact::IndexWriter> writer_;  // gone when the index cannot become whole
  std::uint64_t index_bytes_ = 0;
  delta::NewEntry now_;
  std::uint32_t number_ = 0;  // of the entry under way
  Task task_ = Task::none;
  Task made_by_ = Task::none;  // copy or decode: how the file is made if it is not there
  std::optional<FileHash> hashing_;
  Hash256 logged_;

  // The file being made.
  delta::FileStart start_;
  std::string source_;  // of what it is made from; empty: nothing
  files::Fd from_;
  std::uint64_t from_bytes_ = 0;
  files::Fd out_;
  std::uint64_t out_bytes_ = 0;
  trust::Hasher out_hash_;
  std::uint64_t unsynced_ = 0;

  std::vector<std::uint64_t> lost_;  // digests of paths
  artifact::Missing missing_;
  std::optional<Hash256> id_;
};

}  // namespace instar::device

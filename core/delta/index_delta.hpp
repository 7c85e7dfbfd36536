// The index of a tree as a delta against the index of another one, its base: docs/formats/index-delta.md.
//
// It has no sizes and no hashes of files. A device hashes what it decodes. The caller must compare the hash of the
// resulting index with the signed artifact id.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/delta/index_delta_form.hpp"
#include "core/delta/operation_stream.hpp"
#include "core/delta/path_edits.hpp"

namespace instar::delta {

struct NewEntry {
  artifact::Entry entry;
  ContentFrom from = ContentFrom::none;
  // base_path: the base's file with this content. earlier: an earlier file of the new tree with it.
  // decode: the base's file that stood here, before it was changed or renamed: a base for its delta; empty if there was
  // none.
  std::string source;
  // For base, and for base_path where `entry.content` is known: mode, owner and xattrs are those of the base's file as
  // its index has them, so that the file on disk may be linked if it is still as the index says. Else false: look at
  // the file.
  bool same_metadata = false;
  friend bool operator==(const NewEntry&, const NewEntry&) = default;
};

// --- making -----------------------------------------------------------------------------------------
struct IndexDelta {
  Bytes bytes;
  // All entries of the new tree, in index order, with their sizes and hashes. Those that say `decode` are the files
  // that the pack must carry, in the order in which it must carry them.
  std::vector<NewEntry> entries;
};

// Both are whole trees in index order, and are checked. Finds folders and files that were renamed in their place,
// metadata that changed, and contents that the base or the new tree has elsewhere. Same trees, same bytes. Errors:
// those of IndexChecker, malformed (one content under two sizes).
[[nodiscard]] Result<IndexDelta> make_index_delta(std::span<const artifact::Entry> base,
                                                  std::span<const artifact::Entry> fresh);

// --- reading ----------------------------------------------------------------------------------------
// Makes the new tree's entries from the base's entries and the delta's bytes.
// Memory: about 20 KB, whatever the tree and whatever the bytes; time: in proportion to both.
class IndexDeltaReader {
 public:
  // The base's next entry, valid until the next call; nullptr after the last one. They come from an index that is
  // proven by its hash.
  using BaseEntries = std::function<Result<const artifact::Entry*>()>;
  using DeltaBytes = OperationStream::DeltaBytes;

  IndexDeltaReader(BaseEntries base, DeltaBytes bytes, artifact::IndexRules rules = {});

  // The next entry of the new tree, valid until the next call; nullptr after the last one, when both inputs are at
  // their end.
  //
  // It has passed IndexChecker, but for what is not known here: where a hard link leads
  // (IndexRules::hardlinks_looked_up), and size and content of a file to be decoded, or that another path has: these
  // are zero, and the caller fills them in before the entry goes to an IndexWriter. `source` is a path inside the tree,
  // and for `earlier` one that comes before; that it names a file is for the caller to see. Errors: malformed,
  // too_large, refused, unsupported (a later version), and those of the inputs. After one the reader is of no further
  // use.
  [[nodiscard]] Result<const NewEntry*> next();

 private:
  // Applies one operation. Returns true when it has put an entry in current_.
  [[nodiscard]] Result<bool> obey_next();
  [[nodiscard]] Result<const artifact::Entry*> take_base();
  // These fill current_, from an entry of the base or from nothing.
  void place(const artifact::Entry& base, std::string path);
  [[nodiscard]] Status rename(const artifact::Entry& base, const IndexOperation& operation);
  [[nodiscard]] Status modify(const artifact::Entry& base, const IndexOperation& operation);
  [[nodiscard]] Status insert(const IndexOperation& operation);
  [[nodiscard]] Status take_content(const artifact::Entry& base, bool changed);
  [[nodiscard]] Status take_new_content(const IndexOperation& operation);
  [[nodiscard]] Result<const NewEntry*> hand_out();

  BaseEntries base_;
  OperationStream operations_;
  artifact::IndexChecker checker_;

  Step run_ = Step::keep;  // keep, change or remove
  std::uint64_t run_left_ = 0;
  bool keeps_rest_ = false;  // the delta has ended: what is left of the base stays
  bool done_ = false;

  Renames renames_;
  UsualMetadata usual_;
  std::string previous_path_;
  NewEntry current_;
};

}  // namespace instar::delta

// The operations of an index delta as bytes. docs/formats/index-delta.md
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/artifact/index.hpp"
#include "core/artifact/varint.hpp"
#include "core/base/bytes.hpp"
#include "core/delta/path_edits.hpp"

namespace instar::delta {

inline constexpr std::uint8_t kIndexDeltaVersion = 1;

// Where the content of an entry comes from.
enum class ContentFrom : std::uint8_t {
  none,       // no file, or an empty one
  base,       // the same path in the base, unchanged
  base_path,  // another path in the base
  earlier,    // an earlier path of the new tree
  decode,     // the pack's streams: each distinct content once, in index order
};

enum class Step : std::uint8_t { keep, change, remove, insert, modify, rename_keep, rename_change, rename_modify, end };

// Fields that a modify changes: frozen bits.
enum Changed : std::uint8_t {
  kChangedMode = 1,
  kChangedOwner = 2,
  kChangedXattrs = 4,
  kChangedTarget = 8,
  kChangedDevice = 16,
};

struct IndexOperation {
  Step step = Step::end;
  std::uint64_t count = 0;  // keep, change, remove: at least 1
  Edit name;                // rename_*: of the last component

  // insert and modify
  ContentFrom from = ContentFrom::none;  // of a modify `base`: as it was
  std::uint8_t changed = 0;              // modify
  bool metadata_given = false;           // insert: else it is the usual one
  artifact::Entry fields;                // insert: type; both: the metadata and device numbers that are given
  std::uint64_t shared = 0;              // insert: bytes of the path before
  std::string rest;                      // insert: the bytes of the path that follow
  Edit target;                           // links: see target_reference()
  Edit source;                           // base_path and earlier: of the entry's own path
};

void append_operation(Bytes& out, const IndexOperation& operation);
// One operation at the cursor. It counts only if the cursor is neither starved nor broken afterwards.
[[nodiscard]] IndexOperation read_operation(artifact::ByteCursor& cursor);

// A symlink or a hard link.
[[nodiscard]] bool is_link(artifact::EntryType type) noexcept;
// A file with content.
[[nodiscard]] bool has_content(const artifact::Entry& entry) noexcept;
// What the target of an inserted link is an edit of: of a symlink its name, of a hard link its path.
[[nodiscard]] std::string_view target_reference(artifact::EntryType type, std::string_view path) noexcept;

// The metadata of an inserted entry that does not say: mode of the last entry of its type, owner of the last one, no
// xattrs.
class UsualMetadata {
 public:
  void see(const artifact::Entry& entry);
  void give_to(artifact::Entry& entry) const;

 private:
  std::array<std::uint16_t, 7> modes_{0755, 0644};
  std::uint32_t uid_ = 0;
  std::uint32_t gid_ = 0;
};

}  // namespace instar::delta

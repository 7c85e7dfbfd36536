#include "core/delta/index_delta_form.hpp"

#include <algorithm>

#include "core/artifact/entry_fields.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::delta {
namespace {

using artifact::append_text;
using artifact::append_varint;
using artifact::ByteCursor;
using artifact::Entry;
using artifact::EntryType;

// First byte of an operation: the two high bits show whether it is a run.
constexpr unsigned kRunShift = 6;
constexpr std::uint8_t kOther = 3;
constexpr std::uint64_t kLongRun = 63;  // in the low six bits: a varint follows
// Others: the three low bits are the type of an inserted entry, or 7.
constexpr std::uint8_t kNoInsert = 7;
constexpr std::uint8_t kMetadataGiven = 8;
constexpr unsigned kInsertFromShift = 4;
constexpr unsigned kOtherShift = 3;
constexpr Step kOtherSteps[] = {Step::end, Step::modify, Step::rename_keep, Step::rename_change, Step::rename_modify};
// Where content comes from, by number: two bits of an insert, three of a modify.
constexpr ContentFrom kInsertFrom[] = {ContentFrom::none, ContentFrom::decode, ContentFrom::base_path,
                                       ContentFrom::earlier};
constexpr ContentFrom kModifyFrom[] = {ContentFrom::base, ContentFrom::decode, ContentFrom::base_path,
                                       ContentFrom::earlier, ContentFrom::none};
constexpr unsigned kModifyFromShift = 5;
constexpr std::uint8_t kChangedAll = 31;

template <typename Value, std::size_t kCount>
std::uint8_t number_of(const Value (&values)[kCount], Value value) {
  const auto* const found = std::find(std::begin(values), std::end(values), value);
  INSTAR_ASSERT(found != std::end(values));
  return static_cast<std::uint8_t>(found - std::begin(values));
}

bool has_source(ContentFrom from) {
  return from == ContentFrom::base_path || from == ContentFrom::earlier;
}
bool is_device(EntryType type) {
  return type == EntryType::char_device || type == EntryType::block_device;
}
bool renames(Step step) {
  return step == Step::rename_keep || step == Step::rename_change || step == Step::rename_modify;
}

void append_edit(Bytes& out, const Edit& edit) {
  append_varint(out, edit.kept_end);
  append_varint(out, edit.replaced);
  append_text(out, edit.text);
}

Edit read_edit(ByteCursor& cursor) {
  Edit edit;
  edit.kept_end = cursor.varint(limits::kPathBytesMax, "the end of a text that stays");
  edit.replaced = cursor.varint(limits::kPathBytesMax, "the part of a text that is replaced");
  edit.text = std::string(as_text(cursor.text(limits::kPathBytesMax, "the size of a text")));
  return edit;
}

void append_run(Bytes& out, const IndexOperation& operation) {
  INSTAR_ASSERT(operation.count > 0);
  const auto kind = static_cast<unsigned>(operation.step) << kRunShift;
  out.push_back(static_cast<std::uint8_t>(kind | std::min(operation.count - 1, kLongRun)));
  if (operation.count > kLongRun) append_varint(out, operation.count - 1 - kLongRun);
}

// The fields that only some types have, after a metadata that is given or not.
void append_insert(Bytes& out, const IndexOperation& operation) {
  const Entry& fields = operation.fields;
  const auto type = static_cast<unsigned>(fields.type);
  const unsigned from = number_of(kInsertFrom, operation.from);
  out.push_back(static_cast<std::uint8_t>(kOther << kRunShift | from << kInsertFromShift |
                                          (operation.metadata_given ? unsigned{kMetadataGiven} : 0U) | type));
  append_varint(out, operation.shared);
  append_text(out, operation.rest);
  if (operation.metadata_given) {
    if (fields.type != EntryType::symlink) append_varint(out, fields.mode);
    artifact::append_owner(out, fields);
    if (fields.type == EntryType::file || fields.type == EntryType::directory) artifact::append_xattrs(out, fields);
  }
  if (is_link(fields.type)) append_edit(out, operation.target);
  if (is_device(fields.type)) artifact::append_device(out, fields);
  if (has_source(operation.from)) append_edit(out, operation.source);
}

void read_insert(ByteCursor& cursor, std::uint8_t first, IndexOperation& operation) {
  operation.step = Step::insert;
  Entry& fields = operation.fields;
  fields.type = static_cast<EntryType>(first & 7U);
  operation.from = kInsertFrom[first >> kInsertFromShift & 3U];
  operation.metadata_given = (first & kMetadataGiven) != 0;
  if (operation.from != ContentFrom::none && fields.type != EntryType::file) {
    cursor.break_off(Code::malformed, "the index delta gives content to an entry that is no file");
  }
  if (operation.metadata_given && fields.type == EntryType::hardlink) {
    cursor.break_off(Code::malformed, "the index delta gives metadata to a hard link");
  }
  operation.shared = cursor.varint(limits::kPathBytesMax, "a shared prefix");
  operation.rest = std::string(as_text(cursor.text(limits::kPathBytesMax, "the size of a path")));
  if (operation.metadata_given) {
    if (fields.type != EntryType::symlink) artifact::read_mode(cursor, fields);
    artifact::read_owner(cursor, fields);
    if (fields.type == EntryType::file || fields.type == EntryType::directory) artifact::read_xattrs(cursor, fields);
  }
  if (is_link(fields.type)) operation.target = read_edit(cursor);
  if (is_device(fields.type)) artifact::read_device(cursor, fields);
  if (has_source(operation.from)) operation.source = read_edit(cursor);
}

void append_changes(Bytes& out, const IndexOperation& operation) {
  const Entry& fields = operation.fields;
  const unsigned from = number_of(kModifyFrom, operation.from);
  out.push_back(static_cast<std::uint8_t>(from << kModifyFromShift | operation.changed));
  if ((operation.changed & kChangedMode) != 0) append_varint(out, fields.mode);
  if ((operation.changed & kChangedOwner) != 0) artifact::append_owner(out, fields);
  if ((operation.changed & kChangedXattrs) != 0) artifact::append_xattrs(out, fields);
  if ((operation.changed & kChangedTarget) != 0) append_edit(out, operation.target);
  if ((operation.changed & kChangedDevice) != 0) artifact::append_device(out, fields);
  if (has_source(operation.from)) append_edit(out, operation.source);
}

void read_changes(ByteCursor& cursor, IndexOperation& operation) {
  const std::uint8_t flags = cursor.byte();
  const unsigned from = flags >> kModifyFromShift;
  if (from >= std::size(kModifyFrom)) {
    cursor.break_off(Code::malformed, "the index delta has content from an unknown place");
    return;
  }
  operation.from = kModifyFrom[from];
  operation.changed = flags & kChangedAll;
  if ((operation.changed & kChangedMode) != 0) artifact::read_mode(cursor, operation.fields);
  if ((operation.changed & kChangedOwner) != 0) artifact::read_owner(cursor, operation.fields);
  if ((operation.changed & kChangedXattrs) != 0) artifact::read_xattrs(cursor, operation.fields);
  if ((operation.changed & kChangedTarget) != 0) operation.target = read_edit(cursor);
  if ((operation.changed & kChangedDevice) != 0) artifact::read_device(cursor, operation.fields);
  if (has_source(operation.from)) operation.source = read_edit(cursor);
}

}  // namespace

void append_operation(Bytes& out, const IndexOperation& operation) {
  switch (operation.step) {
    case Step::keep:
    case Step::change:
    case Step::remove: append_run(out, operation); return;
    case Step::insert: append_insert(out, operation); return;
    default: break;
  }
  const unsigned number = number_of(kOtherSteps, operation.step);
  out.push_back(static_cast<std::uint8_t>(kOther << kRunShift | number << kOtherShift | kNoInsert));
  if (renames(operation.step)) append_edit(out, operation.name);
  if (operation.step == Step::modify || operation.step == Step::rename_modify) append_changes(out, operation);
}

IndexOperation read_operation(ByteCursor& cursor) {
  IndexOperation operation;
  const std::uint8_t first = cursor.byte();
  const unsigned low = first & 63U;
  if (first >> kRunShift != kOther) {
    operation.step = static_cast<Step>(first >> kRunShift);
    operation.count = low + std::uint64_t{1};
    if (low == kLongRun) operation.count += cursor.varint(limits::kEntriesMax, "a run of entries");
    return operation;
  }
  if ((low & kNoInsert) != kNoInsert) {
    read_insert(cursor, first, operation);
    return operation;
  }
  const unsigned number = low >> kOtherShift;
  if (number >= std::size(kOtherSteps)) {
    cursor.break_off(Code::malformed, "the index delta has an unknown operation");
    return operation;
  }
  operation.step = kOtherSteps[number];
  if (renames(operation.step)) operation.name = read_edit(cursor);
  if (operation.step == Step::modify || operation.step == Step::rename_modify) read_changes(cursor, operation);
  return operation;
}

bool is_link(EntryType type) noexcept {
  return type == EntryType::symlink || type == EntryType::hardlink;
}

bool has_content(const Entry& entry) noexcept {
  return entry.type == EntryType::file && entry.size > 0;
}

std::string_view target_reference(EntryType type, std::string_view path) noexcept {
  return type == EntryType::symlink ? name_of(path) : path;
}

void UsualMetadata::see(const Entry& entry) {
  if (entry.type == EntryType::hardlink) return;
  modes_[static_cast<std::size_t>(entry.type)] = entry.mode;
  uid_ = entry.uid;
  gid_ = entry.gid;
}

void UsualMetadata::give_to(Entry& entry) const {
  if (entry.type == EntryType::hardlink) return;
  entry.mode = modes_[static_cast<std::size_t>(entry.type)];
  entry.uid = uid_;
  entry.gid = gid_;
}

}  // namespace instar::delta

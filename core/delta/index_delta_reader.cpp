#include "core/base/assert.hpp"
#include "core/delta/index_delta.hpp"
#include "core/trust/digest.hpp"

namespace instar::delta {
namespace {

using artifact::Entry;
using artifact::EntryType;

artifact::IndexRules rules_of_reader(artifact::IndexRules rules) {
  rules.hardlinks_looked_up = false;
  rules.contents_known = false;
  return rules;
}

// The fields that an entry of this type has to change.
std::uint8_t changeable(EntryType type) {
  switch (type) {
    case EntryType::directory:
    case EntryType::file: return kChangedMode | kChangedOwner | kChangedXattrs;
    case EntryType::symlink: return kChangedOwner | kChangedTarget;
    case EntryType::hardlink: return kChangedTarget;
    case EntryType::char_device:
    case EntryType::block_device: return kChangedMode | kChangedOwner | kChangedDevice;
    case EntryType::fifo: break;
  }
  return kChangedMode | kChangedOwner;
}

}  // namespace

IndexDeltaReader::IndexDeltaReader(BaseEntries base, DeltaBytes bytes, artifact::IndexRules rules)
    : base_(std::move(base)), operations_(std::move(bytes)), checker_(rules_of_reader(rules)) {}

Result<const NewEntry*> IndexDeltaReader::next() {
  while (!done_) {
    if (run_left_ == 0 && !keeps_rest_) {
      INSTAR_TRY(const bool placed, obey_next());
      if (placed) return hand_out();
      continue;
    }
    INSTAR_TRY(const Entry* const base, take_base());
    if (base == nullptr) {
      if (checker_.entry_count() == 0)
        return fail(Code::malformed, "the index delta leaves nothing, not even the root folder");
      done_ = true;
      continue;
    }
    // Between files that change, entries without content are passed over.
    const bool counts = run_ != Step::change || has_content(*base);
    if (!keeps_rest_ && counts) --run_left_;
    if (run_ == Step::remove) continue;
    place(*base, renames_.map(base->path));
    INSTAR_CHECK(take_content(*base, run_ == Step::change && counts));
    return hand_out();
  }
  return nullptr;
}

Result<bool> IndexDeltaReader::obey_next() {
  INSTAR_TRY(const IndexOperation operation, operations_.next());
  switch (operation.step) {
    case Step::keep:
    case Step::change:
    case Step::remove:
      run_ = operation.step;
      run_left_ = operation.count;
      return false;
    case Step::end:
      run_ = Step::keep;
      keeps_rest_ = true;
      return false;
    case Step::insert: INSTAR_CHECK(insert(operation)); return true;
    default: break;
  }
  INSTAR_TRY(const Entry* const base, take_base());
  if (operation.step == Step::modify) {
    place(*base, renames_.map(base->path));
  } else {
    INSTAR_CHECK(rename(*base, operation));
  }
  if (operation.step == Step::modify || operation.step == Step::rename_modify) {
    INSTAR_CHECK(modify(*base, operation));
  } else {
    INSTAR_CHECK(take_content(*base, operation.step == Step::rename_change));
  }
  return true;
}

Result<const Entry*> IndexDeltaReader::take_base() {
  INSTAR_TRY(const Entry* const entry, base_());
  if (entry != nullptr) {
    renames_.go_to(entry->path);
  } else if (!keeps_rest_) {
    return fail(Code::malformed, "the index delta goes on past the end of its base");
  }
  return entry;
}

void IndexDeltaReader::place(const Entry& base, std::string path) {
  current_ = {};
  current_.entry = base;
  current_.entry.path = std::move(path);
  if (base.type == EntryType::hardlink) current_.entry.target = renames_.map(base.target);
}

Status IndexDeltaReader::rename(const Entry& base, const IndexOperation& operation) {
  if (base.path.empty()) return fail(Code::malformed, "the index delta renames the root folder");
  std::string path = renames_.map(base.path);
  const std::string_view parent = parent_of(path);
  INSTAR_TRY(const std::string name, operation.name.apply(name_of(path)));
  if (name.empty() || name.find('/') != std::string::npos) {
    return fail(Code::malformed, "the index delta renames \"" + path + "\" to \"" + name + "\", which is no name");
  }
  path = parent.empty() ? name : std::string(parent) + '/' + name;
  if (base.type == EntryType::directory) renames_.open(base.path, path);
  place(base, std::move(path));
  return {};
}

Status IndexDeltaReader::take_content(const Entry& base, bool changed) {
  Entry& entry = current_.entry;
  if (!has_content(base)) {
    if (changed)
      return fail(Code::malformed, "the index delta changes the content of \"" + entry.path + "\", which has none");
    return {};
  }
  if (changed) {
    current_.from = ContentFrom::decode;
    current_.source = base.path;
    entry.size = 0;
    entry.content = {};
    return {};
  }
  current_.same_metadata = true;
  if (entry.path == base.path) {
    current_.from = ContentFrom::base;
  } else {
    current_.from = ContentFrom::base_path;
    current_.source = base.path;
  }
  return {};
}

Status IndexDeltaReader::modify(const Entry& base, const IndexOperation& operation) {
  Entry& entry = current_.entry;
  const bool content_stays = operation.from == ContentFrom::base;
  if ((operation.changed & ~changeable(base.type)) != 0 || (!content_stays && base.type != EntryType::file)) {
    return fail(Code::malformed, "the index delta changes what \"" + entry.path + "\" has not");
  }
  const Entry& fields = operation.fields;
  if ((operation.changed & kChangedMode) != 0) entry.mode = fields.mode;
  if ((operation.changed & kChangedOwner) != 0) {
    entry.uid = fields.uid;
    entry.gid = fields.gid;
  }
  if ((operation.changed & kChangedXattrs) != 0) {
    entry.xattrs = fields.xattrs;
    entry.time = fields.time;
  }
  if ((operation.changed & kChangedTarget) != 0) {
    INSTAR_TRY(entry.target, operation.target.apply(entry.target));
  }
  if ((operation.changed & kChangedDevice) != 0) {
    entry.device_major = fields.device_major;
    entry.device_minor = fields.device_minor;
  }
  if (content_stays) {
    INSTAR_CHECK(take_content(base, false));
    current_.same_metadata = current_.same_metadata && operation.changed == 0;
    return {};
  }
  if (operation.from == ContentFrom::decode && has_content(base)) current_.source = base.path;
  return take_new_content(operation);
}

Status IndexDeltaReader::insert(const IndexOperation& operation) {
  current_ = {};
  Entry& entry = current_.entry;
  entry = operation.fields;
  if (operation.shared > previous_path_.size()) {
    return fail(Code::malformed, "a path of the index delta shares more bytes than the path before it has");
  }
  entry.path = previous_path_.substr(0, static_cast<std::size_t>(operation.shared)) + operation.rest;
  if (!operation.metadata_given) usual_.give_to(entry);
  if (is_link(entry.type)) {
    INSTAR_TRY(entry.target, operation.target.apply(target_reference(entry.type, entry.path)));
  }
  return entry.type == EntryType::file ? take_new_content(operation) : Status{};
}

Status IndexDeltaReader::take_new_content(const IndexOperation& operation) {
  static const Hash256 kNothing = trust::digest({});
  Entry& entry = current_.entry;
  current_.from = operation.from;
  entry.size = 0;
  entry.content = {};
  switch (operation.from) {
    case ContentFrom::none: entry.content = kNothing; return {};
    case ContentFrom::base_path:
    case ContentFrom::earlier: break;
    default: return {};
  }
  INSTAR_TRY(current_.source, operation.source.apply(entry.path));
  INSTAR_CHECK(artifact::check_path(current_.source));
  if (current_.source.empty()) return fail(Code::malformed, "the index delta takes the root folder for a file");
  if (operation.from == ContentFrom::earlier && !artifact::path_before(current_.source, entry.path)) {
    return fail(Code::malformed, "the index delta takes the content of \"" + entry.path + "\" from \"" +
                                     current_.source + "\", which does not come before it");
  }
  return {};
}

Result<const NewEntry*> IndexDeltaReader::hand_out() {
  INSTAR_CHECK(checker_.check(current_.entry));
  usual_.see(current_.entry);
  previous_path_ = current_.entry.path;
  return &current_;
}

}  // namespace instar::delta

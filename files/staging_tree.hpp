// Writes one staged tree. Everything is opened below its folder, component by component, and no symbolic link is
// followed. So nothing outside the folder is changed, whatever an index says.
#pragma once

#include <time.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"
#include "files/posix.hpp"

namespace instar::files {

class StagingTree {
 public:
  // Counts what was left out because only root may set it.
  struct LeftOut {
    std::uint64_t owners = 0;
    std::uint64_t modes = 0;  // setuid or setgid, which would be wrong with another owner
    std::uint64_t xattrs = 0;
    [[nodiscard]] bool any() const noexcept { return owners + modes + xattrs > 0; }
  };

  // Opens a folder that exists. Errors: not_found, io.
  [[nodiscard]] static Result<StagingTree> open(const std::string& path);
  // Makes the folder if there is none. Errors: io, no_space.
  [[nodiscard]] static Result<StagingTree> make(const std::string& path);
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] int fd() const noexcept { return root_.get(); }
  [[nodiscard]] std::string shown(std::string_view entry) const;
  // From now on, what this process may not set is counted here instead of being an error. The counters outlive the
  // tree.
  void leave_out(LeftOut& left_out) noexcept { left_out_ = &left_out; }
  // From now on, entries whose index has no time get this one: seconds since 1970. Without it, that of
  // artifact::time_by_content().
  void use_time(std::int64_t seconds) noexcept { time_ = seconds; }

  // Each of these leaves an entry that is right already, and replaces one that is not.
  // A folder passes no default ACL on to what is made in it, until set_metadata() gives it one.
  [[nodiscard]] Status make_folder(const std::string& entry);
  [[nodiscard]] Status make_symlink(const artifact::Entry& entry);
  [[nodiscard]] Status make_special(const artifact::Entry& entry);
  // Whether there is a file of that size which has no other name.
  [[nodiscard]] bool is_own_file(const std::string& entry, std::uint64_t size) const;
  // Makes a new file (never another name of another tree's file) with room for `size` bytes.
  // Errors: no_space, io.
  [[nodiscard]] Status make_file(const std::string& entry, std::uint64_t size);
  // The same, opened for writing. Always makes a new file, whatever is there.
  [[nodiscard]] Result<Fd> replace_file(const std::string& entry, std::uint64_t size);
  enum class Linked : std::uint8_t { yes, too_many, impossible };
  // Makes another name for `source_entry` of the tree at `source`. too_many: the file has as many names as its file
  // system allows (65 000 on ext4). impossible: it is on another file system, or linking is not allowed.
  [[nodiscard]] Result<Linked> link(const std::string& entry, const StagingTree& source,
                                    const std::string& source_entry);
  [[nodiscard]] Status remove(const std::string& entry);

  // Opens a regular file only. Errors: not_found, io.
  [[nodiscard]] Result<Fd> open_file(const std::string& entry, bool for_writing) const;
  [[nodiscard]] Result<Fd> open_folder(const std::string& entry) const;
  [[nodiscard]] Result<std::string> read_symlink(const std::string& entry) const;
  [[nodiscard]] Result<bool> is_special(const artifact::Entry& entry) const;
  // Bytes that a file takes up on disk; 0 when it is not there.
  [[nodiscard]] std::uint64_t allocated_bytes(const std::string& entry) const;
  // The same for anything that has no other name. 0 for a file with other names, nullopt when it is not there.
  [[nodiscard]] std::optional<std::uint64_t> own_bytes(const std::string& entry) const;
  // Whether both names are one file.
  [[nodiscard]] bool same_file(const std::string& entry, const StagingTree& other,
                               const std::string& other_entry) const;

  // Sets owner, mode, xattrs and times of a file or folder, and takes away other xattrs that a tree could carry. If an
  // ACL cannot be set and is left out, the mode gives nobody more than the ACL did. staging_metadata.cpp
  [[nodiscard]] Status set_metadata(int fd, const artifact::Entry& entry) const;
  // Owner, mode, xattrs and time of a file, as an entry. To be set for another one.
  [[nodiscard]] static Result<artifact::Entry> read_metadata(int fd, const std::string& shown);

 private:
  [[nodiscard]] Result<int> parent(std::string_view entry) const;
  [[nodiscard]] Status take_no_default_acl(const std::string& folder) const;
  [[nodiscard]] Status take_xattrs_off(int fd, const artifact::Entry& entry) const;
  [[nodiscard]] Status set_xattr(int fd, const artifact::Entry& entry, const artifact::Xattr& xattr) const;
  // Of access and of change, which are the same.
  [[nodiscard]] std::array<timespec, 2> times_of(const artifact::Entry& entry) const noexcept;
  // Called when something could not be set. Returns true when it is to be left out.
  [[nodiscard]] bool may_leave_out(std::uint64_t LeftOut::*what) const noexcept;

  std::string path_;
  Fd root_;
  // The folder that was opened last. It is kept because entries come in index order.
  mutable std::string cached_path_;
  mutable Fd cached_;
  LeftOut* left_out_ = nullptr;
  std::optional<std::int64_t> time_;
};

}  // namespace instar::files

// Room on a disk that only its owner can use: files of random bytes, each with blocks and an inode, and empty files for
// their inodes, in a folder of their own. Removing some gives their room back to the disk, for the owner's next call;
// they are made again when there is room for all of them. For one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "files/files.hpp"

namespace instar::files {

class Reserve {
 public:
  // Looks at what is there, and makes nothing. `disk`: the space of its file system, which decides how large the
  // reserve is to be (limits::kReserve…).
  Reserve(std::string folder, const Space& disk);

  // Makes some of what is missing, if all of it leaves at least as much free as the reserve is large. Durable when it
  // returns. True: there is more to make, and room for it. An error leaves the reserve smaller, and is none of the
  // caller's: is_whole() says how it is.
  bool refill();
  // Frees at least that many bytes and one inode, or all that may go. False: nothing may.
  [[nodiscard]] bool release(std::uint64_t bytes);
  // Frees inodes alone, or all that is left.
  void release_inodes(std::uint32_t inodes);

  // Whether a release may have its room: the last way, when nothing else can make way for it.
  void lend(bool is_lent) noexcept { is_lent_ = is_lent; }
  // While content is staged a quarter stays, whatever is asked for. It is for the client's state and for what starts
  // and stops containers: while what fills the disk still runs, it takes a part of what is freed here.
  void keep_quarter(bool is_kept) noexcept { keeps_quarter_ = is_kept; }
  // What of it a release may count on, instead of a margin; nullopt: it is not lent.
  [[nodiscard]] std::optional<Space> lent() const noexcept;

  [[nodiscard]] bool is_whole() const noexcept { return blocks_.size() + inodes_.size() == count(); }
  // What a release of all would free.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return blocks_.size() * file_bytes_; }
  [[nodiscard]] std::uint64_t inodes() const noexcept { return blocks_.size() + inodes_.size(); }
  // What it holds when it is whole.
  [[nodiscard]] std::uint64_t bytes_whole() const noexcept;

 private:
  [[nodiscard]] std::size_t count() const noexcept;
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] Status make(const std::string& name, std::uint64_t bytes) const;
  bool drop(std::vector<std::string>& names, std::size_t whole) const;
  void look();

  std::string folder_;
  std::uint64_t file_bytes_ = 0;
  bool is_lent_ = false;
  bool keeps_quarter_ = false;
  bool counts_inodes_ = true;        // the file system has a fixed number of them
  std::vector<std::string> blocks_;  // names of files that are there
  std::vector<std::string> inodes_;
};

}  // namespace instar::files

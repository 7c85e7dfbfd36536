// Whether the libraries of a program are in the tree where its dynamic loader looks for them: ld.so(8) of glibc, and
// the one of musl. Others are not known, and nothing is said of their libraries.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "publisher/check/elf_file.hpp"
#include "publisher/check/tree_paths.hpp"

namespace instar::publisher {

// Reads an ELF file of the tree. Errors: those of read_elf().
[[nodiscard]] Result<ElfFile> read_elf_of(TreeContent& content, const artifact::Entry& file);

class DynamicLoader {
 public:
  // Both must outlive it.
  DynamicLoader(const TreePaths& paths, TreeContent& content);

  // `program`: a found place, with what is in it; `library_path`: LD_LIBRARY_PATH. Returns a sentence on what is
  // missing; nullopt if nothing is. Errors: io, corrupt.
  [[nodiscard]] Result<std::optional<std::string>> check(const PlaceInTree& program, const ElfFile& elf,
                                                         const std::string& library_path);

 private:
  struct Object {
    std::string name;                  // for people
    std::vector<std::string> origins;  // folders that $ORIGIN may stand for
    ElfFile elf;
    std::size_t loaded_by = 0;  // its own number for the program
  };
  struct Missing {
    std::string name;
    std::string needed_by;
    std::string other;  // a file of that name for another machine, or damaged: what is wrong with it
  };
  enum class Kind : std::uint8_t { glibc, musl, other };

  [[nodiscard]] static Kind kind_of(std::string_view loader) noexcept;
  [[nodiscard]] Status load_all(const std::string& library_path);
  [[nodiscard]] Result<bool> load(std::size_t by, const std::string& name, const std::string& library_path);
  [[nodiscard]] Result<bool> try_file(std::size_t by, const std::string& path, std::string& other);
  [[nodiscard]] std::vector<std::string> candidates(std::size_t by, const std::string& name,
                                                    const std::string& library_path) const;
  void add_folders(const std::string& list, const Object& owner, std::vector<std::string>& folders) const;
  [[nodiscard]] bool is_loader_itself(const std::string& name) const;
  [[nodiscard]] std::string sentence() const;
  [[nodiscard]] std::string way_out(const std::string& name) const;
  [[nodiscard]] Result<std::string> read_text(std::string_view path);
  [[nodiscard]] Status read_musl_folders();
  [[nodiscard]] Status read_cache();

  const TreePaths& paths_;
  TreeContent& content_;
  std::vector<std::string> folders_of_debian_;  // /usr/lib/TRIPLET
  // Of the program at hand.
  Kind kind_ = Kind::other;
  std::string loader_;  // its base name
  std::vector<std::string> standard_folders_;
  std::vector<Object> objects_;
  std::set<std::string> names_seen_;
  std::vector<Missing> missing_;
  // What /etc/ld.so.cache names: base name → paths.
  std::optional<std::unordered_multimap<std::string, std::string>> cache_;
};

}  // namespace instar::publisher

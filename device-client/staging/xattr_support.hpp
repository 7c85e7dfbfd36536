// Finds out which xattrs the file system of the revisions keeps, before anything of a tree with some is fetched.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"

namespace instar::device {

class XattrSupport {
 public:
  // `folder`: where a file may be made to try. It exists when check() is called.
  explicit XattrSupport(std::string folder) : folder_(std::move(folder)) {}

  // Whether all xattrs of the entry can be kept there. Each kind is tried once. Errors: refused (with the entry, the
  // kind, and what to do), io, no_space.
  [[nodiscard]] Status check(const artifact::Entry& entry);

 private:
  struct Kind {
    std::string prefix;
    int error = 0;  // what setting one gave; 0: it worked
  };
  [[nodiscard]] Result<int> error_of(const artifact::Xattr& xattr);
  [[nodiscard]] Result<int> try_one(const artifact::Xattr& xattr) const;

  std::string folder_;
  std::vector<Kind> kinds_;
};

}  // namespace instar::device

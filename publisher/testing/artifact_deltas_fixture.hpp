// Two versions of a tree in `one` and `two`, and artifacts made of them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/readable_tree.hpp"
#include "publisher/testing/trees.hpp"

namespace instar::publisher {

class ArtifactDeltas : public testing::Test {
 protected:
  void SetUp() override { make_versions(folder_ / "one", folder_ / "two"); }
  ArtifactFolder build(const std::string& tree, const std::string& out) const {
    BuildOptions options;
    options.tree = folder_ / tree;
    options.out = folder_ / out;
    options.level = 1;
    auto folder = build_artifact(options);
    EXPECT_TRUE(folder);
    return std::move(*folder);
  }
  ReadableTree tree(const std::string& name) const { return std::move(*open_tree(folder_ / name, folder_.path(), {})); }
  std::string listing(const std::string& out) const {
    return std::string(as_text(*files::read_file(folder_ / (out + "/artifact.json"), 1 << 20)));
  }
  files::TemporaryFolder folder_;
};

}  // namespace instar::publisher

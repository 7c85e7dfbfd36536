#include "device-client/containers/layers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

TEST(Layers, CountsWhatIsBelowTheFolder) {
  const files::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "upper/deep/er");
  std::ofstream(folder / "upper/deep/er/file") << std::string(100'000, 'x');
  std::filesystem::create_symlink("/nowhere", folder / "upper/link");
  const auto size = size_of_layer(folder.path());
  EXPECT_EQ(size.files, 5U);
  EXPECT_GE(size.bytes, 100'000U);
  EXPECT_LT(size.bytes, 200'000U);
}

TEST(Layers, WhatIsNotThereHasNoSize) {
  EXPECT_EQ(size_of_layer("/nowhere").files, 0U);
}

TEST(Layers, AFileSystemThatCountsNothingByProjectBoundsNothing) {
  EXPECT_EQ(bound_layer("/proc", "d.a", 1, {1, 1}).value_or(true), false);
  EXPECT_EQ(bound_layer("/nowhere", "d.a", 1, {1, 1}).error().code, Code::not_found);
}

}  // namespace
}  // namespace instar::device

#include "device-client/process/container_volumes.hpp"

#include <gtest/gtest.h>

namespace instar::device {
namespace {

TEST(ContainerVolumes, TextIsReadBack) {
  const std::vector<ContainerVolume> volumes = {{"a", "/state/volumes/a", "/data"},
                                                {"b", "/state/volumes/b", "/with space\n,and\\more/x"}};
  EXPECT_EQ(parse_container_volumes(format_container_volumes(volumes)), volumes);
  EXPECT_EQ(format_container_volumes({}), "");
  EXPECT_EQ(parse_container_volumes(""), std::vector<ContainerVolume>{});
}

TEST(ContainerVolumes, EveryPartOfATextIsNoText) {
  const std::string text = format_container_volumes({{"a", "/source", "/path"}});
  for (std::size_t size = 1; size < text.size(); ++size) EXPECT_FALSE(parse_container_volumes(text.substr(0, size)));
}

TEST(ContainerVolumes, APathThatIsNotCleanIsRefused) {
  for (const auto* path : {"data", "/", "//data", "/data/", "/a/../b", "/..", "/a/./b", "/."})
    EXPECT_FALSE(parse_container_volumes(format_container_volumes({{"a", "/source", path}}))) << path;
}

}  // namespace
}  // namespace instar::device

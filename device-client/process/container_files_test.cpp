#include "device-client/process/container_files.hpp"

#include <gtest/gtest.h>

namespace instar::device {
namespace {

TEST(ContainerFiles, TextIsReadBack) {
  const std::vector<ContainerFile> files = {{"/state/names/resolv.conf", "resolv.conf", Giving::bind},
                                            {"/etc/localtime", "localtime", Giving::bind_missing},
                                            {"/state/lxc/d.a/hosts", "hosts", Giving::copy_missing}};
  EXPECT_EQ(parse_container_files(format_container_files(files)), files);
  EXPECT_EQ(parse_container_files(""), std::vector<ContainerFile>{});
}

TEST(ContainerFiles, EveryPartOfATextIsNoText) {
  const std::string text = format_container_files({{"/source", "hosts", Giving::bind}});
  for (std::size_t size = 1; size < text.size(); ++size) EXPECT_FALSE(parse_container_files(text.substr(0, size)));
}

TEST(ContainerFiles, ANameThatLeadsElsewhereIsRefused) {
  for (const auto* name : {"..", ".", "a/b", "/hosts", "../hosts"})
    EXPECT_FALSE(parse_container_files(format_container_files({{"/source", name, Giving::bind}}))) << name;
  std::string unknown = format_container_files({{"/source", "hosts", Giving::bind}});
  unknown.replace(unknown.find("bind"), 4, "move");
  EXPECT_FALSE(parse_container_files(unknown));
}

}  // namespace
}  // namespace instar::device

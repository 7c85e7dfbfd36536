// Small directory trees for tests, and what tests need to know of them.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/bytes.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"
#include "files/tree.hpp"
#include "publisher/artifact/pack_contents.hpp"

namespace instar::publisher {

// Bytes that do not compress, the same for the same seed.
inline Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (auto& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<std::uint8_t>(state >> 32);
  }
  return bytes;
}

// Writes a file without making it durable, so that thousands of files take a moment only.
inline void write_in(const std::string& root, const std::string& path, ByteView content, mode_t mode = 0644) {
  const std::string whole = root + "/" + path;
  std::filesystem::create_directories(whole.substr(0, whole.rfind('/')));
  std::ofstream file(whole, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
  file.close();
  ASSERT_TRUE(file.good()) << whole;
  ASSERT_EQ(::chmod(whole.c_str(), mode), 0);
}

// The artifact id of a tree, read from the disk.
inline ArtifactId artifact_on_disk(const std::string& root) {
  files::TreeOptions options;
  options.rules.devices_allowed = true;
  const auto entries = files::read_tree(root, options);
  EXPECT_TRUE(entries) << root;
  const auto id = entries ? index_id(*entries) : Result<ArtifactId>(ArtifactId{});
  EXPECT_TRUE(id) << root;
  return id.value_or(ArtifactId{});
}

// Two versions of a tree in `one` and `two`. They have a large file in which one part changes and one moves, a renamed
// file, small files that come and go, links, modes, an empty file, and a content that is there twice.
inline void make_versions(const std::string& one, const std::string& two) {
  const Bytes large = noise(400'000, 1);
  Bytes changed(large.begin() + 70'000, large.end());
  changed.insert(changed.end(), large.begin(), large.begin() + 70'000);
  for (std::size_t i = 200'000; i < 200'100; ++i) changed[i] ^= 0x55;
  for (const auto& [root, is_new] : {std::pair(one, false), std::pair(two, true)}) {
    ASSERT_TRUE(files::make_folders(root));
    write_in(root, "bin/app", is_new ? changed : large, 0755);
    write_in(root, is_new ? "lib/libx.so.1.3" : "lib/libx.so.1.2", noise(90'000, 2));
    write_in(root, is_new ? "lib/plugin-2/y.so" : "lib/plugin-1/y.so", is_new ? noise(50'000, 4) : noise(50'000, 3));
    write_in(root, "etc/config", as_bytes(is_new ? "port = 81\n" : "port = 80\n"));
    write_in(root, "etc/copy-1", as_bytes("the same content\n"));
    write_in(root, "etc/copy-2", as_bytes("the same content\n"), 0600);
    write_in(root, "etc/empty", {});
    write_in(root, is_new ? "share/new" : "share/gone", noise(3'000, is_new ? 5 : 6));
    ASSERT_EQ(::symlink(is_new ? "app" : "../bin/app", (root + "/bin/link").c_str()), 0);
    ASSERT_EQ(::link((root + "/bin/app").c_str(), (root + "/bin/hard").c_str()), 0);
    ASSERT_EQ(::chmod((root + "/share").c_str(), is_new ? 0755 : 0700), 0);
  }
}

}  // namespace instar::publisher

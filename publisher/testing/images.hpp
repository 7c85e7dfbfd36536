// Files that look like images of the three file systems. They only have superblocks, because nothing else is checked.
#pragma once

#include "publisher/testing/trees.hpp"

namespace instar::publisher {

inline void put(Bytes& image, std::size_t offset, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) image[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// Each superblock says that its file system has `bytes`.
inline Bytes squashfs(std::size_t bytes, std::uint64_t seed = 1) {
  Bytes image = noise(bytes, seed);
  put(image, 0, 0x73717368, 4);
  put(image, 28, 4, 2);
  put(image, 40, bytes, 8);
  return image;
}
inline Bytes erofs(std::size_t bytes) {
  Bytes image = noise(bytes, 1);
  put(image, 0, 0, 4);
  put(image, 1024, 0xe0f5e1e2, 4);
  put(image, 1024 + 12, 12, 1);
  put(image, 1024 + 36, bytes >> 12, 4);
  return image;
}
inline Bytes ext4(std::size_t bytes) {
  Bytes image = noise(bytes, 1);
  put(image, 0, 0, 4);
  put(image, 1024 + 4, bytes >> 12, 4);
  put(image, 1024 + 0x18, 2, 4);
  put(image, 1024 + 56, 0xef53, 2);
  put(image, 1024 + 0x60, 0x42, 4);
  return image;
}

}  // namespace instar::publisher

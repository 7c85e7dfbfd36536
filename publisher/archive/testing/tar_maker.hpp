// Tar archives for tests, entry by entry.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.hpp"

namespace instar::publisher {

struct MadeEntry {
  std::string path;
  std::string content = {};
  char kind = '0';  // '0' file, '1' hard link, '2' symbolic link, '3' and '4' devices, '5' folder, '6' fifo
  std::string target = {};
  unsigned mode = 0644;
  unsigned uid = 0;
  unsigned gid = 0;
  std::vector<std::pair<std::string, std::string>> pax = {};  // headers of its own
  std::uint64_t said_size = ~std::uint64_t{0};                // other than that of the content
};

class TarMaker {
 public:
  TarMaker& add(const MadeEntry& entry) {
    if (!entry.pax.empty()) put(header({.path = "pax", .content = records(entry)}, 'x'), records(entry));
    put(header(entry, entry.kind), entry.content);
    return *this;
  }
  TarMaker& file(const std::string& path, const std::string& content = "x") { return add({path, content}); }
  TarMaker& folder(const std::string& path, unsigned mode = 0755) {
    return add({.path = path, .kind = '5', .mode = mode});
  }
  TarMaker& link(const std::string& path, const std::string& target) {
    return add({.path = path, .kind = '1', .target = target});
  }
  TarMaker& symlink(const std::string& path, const std::string& target) {
    return add({.path = path, .kind = '2', .target = target});
  }
  // With the two blocks that end an archive.
  [[nodiscard]] Bytes finish() const {
    Bytes out = bytes_;
    out.resize(out.size() + 2 * kBlock);
    return out;
  }

 private:
  static constexpr std::size_t kBlock = 512;
  static std::string records(const MadeEntry& entry) {
    std::string text;
    for (const auto& [key, value] : entry.pax) {
      const std::string rest = " " + key + "=" + value + "\n";
      std::size_t size = rest.size() + 1;
      while (std::to_string(size).size() + rest.size() != size) ++size;
      text += std::to_string(size) + rest;
    }
    return text;
  }
  static void octal(Bytes& block, std::size_t at, std::size_t digits, std::uint64_t value) {
    for (std::size_t i = digits; i-- > 0; value /= 8) block[at + i] = static_cast<std::uint8_t>('0' + value % 8);
  }
  static Bytes header(const MadeEntry& entry, char kind) {
    Bytes block(kBlock);
    const auto text = [&](std::size_t at, std::size_t most, const std::string& value) {
      std::copy_n(value.begin(), std::min(most, value.size()), block.begin() + static_cast<std::ptrdiff_t>(at));
    };
    text(0, 100, entry.path);
    octal(block, 100, 7, entry.mode);
    octal(block, 108, 7, entry.uid);
    octal(block, 116, 7, entry.gid);
    octal(block, 124, 11, entry.said_size == ~std::uint64_t{0} ? entry.content.size() : entry.said_size);
    octal(block, 136, 11, 1'000'000'000);
    std::fill_n(block.begin() + 148, 8, std::uint8_t{' '});
    block[156] = static_cast<std::uint8_t>(kind);
    text(157, 100, entry.target);
    text(257, 6, std::string("ustar\0", 6));
    text(263, 2, "00");
    if (kind == '3' || kind == '4') {
      octal(block, 329, 7, 1);
      octal(block, 337, 7, 3);
    }
    std::uint64_t sum = 0;
    for (const auto byte : block) sum += byte;
    octal(block, 148, 6, sum);
    block[154] = 0;
    return block;
  }
  void put(const Bytes& head, const std::string& content) {
    bytes_.insert(bytes_.end(), head.begin(), head.end());
    bytes_.insert(bytes_.end(), content.begin(), content.end());
    bytes_.resize((bytes_.size() + kBlock - 1) / kBlock * kBlock);
  }
  Bytes bytes_;
};

}  // namespace instar::publisher

// squashfs 4.0, as mksquashfs writes it: a superblock, blocks of files, and tables in blocks of 8 KiB, each behind two
// bytes with its size. The layout is that of the kernel's fs/squashfs/squashfs_fs.h.
#include <algorithm>
#include <map>
#include <unordered_map>

#include "core/base/limits.hpp"
#include "core/delta/make/image_map.hpp"

namespace instar::delta {
namespace {

constexpr std::uint32_t kMagic = 0x73717368;
constexpr std::size_t kSuperBytes = 96;
constexpr std::uint32_t kTableBlockBytes = 8192;
constexpr std::uint16_t kTableIsPlain = 0x8000;
constexpr std::uint32_t kBlockIsPlain = 1U << 24;
constexpr std::uint32_t kNoFragment = 0xffffffff;
constexpr std::uint64_t kNoTable = ~std::uint64_t{0};
constexpr std::uint16_t kHasOptions = 0x400;
constexpr std::size_t kFragmentBytes = 16;

// Little-endian numbers. Past the end of the bytes they are zero, and `ended` is set.
class Numbers {
 public:
  explicit Numbers(ByteView bytes) : bytes_(bytes) {}
  std::uint64_t number(std::uint64_t at, unsigned bytes) {
    if (at > bytes_.size() || bytes > bytes_.size() - at) {
      ended = true;
      return 0;
    }
    std::uint64_t value = 0;
    for (unsigned i = bytes; i > 0; --i) value = value << 8 | bytes_[static_cast<std::size_t>(at) + i - 1];
    return value;
  }
  std::uint16_t u16(std::uint64_t at) { return static_cast<std::uint16_t>(number(at, 2)); }
  std::uint32_t u32(std::uint64_t at) { return static_cast<std::uint32_t>(number(at, 4)); }
  std::uint64_t u64(std::uint64_t at) { return number(at, 8); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  bool ended = false;

 private:
  ByteView bytes_;
};

struct Table {
  Bytes bytes;
  std::unordered_map<std::uint64_t, std::uint64_t> starts;  // place of a block from the table's start → in `bytes`
};

class Squashfs {
 public:
  explicit Squashfs(ByteView image) : image_(image), super_(image.first(std::min(image.size(), kSuperBytes))) {}

  std::optional<ImageMap> map() {
    if (!read_super() || !read_options() || !read_tables() || !read_inodes()) return std::nullopt;
    name_files();
    if (!finish_blocks()) return std::nullopt;
    return std::move(map_);
  }

 private:
  struct Folder {
    std::uint64_t block = 0;
    std::uint32_t offset = 0;
    std::uint32_t bytes = 0;
  };

  bool read_super();
  bool read_options();
  bool read_tables();
  bool read_inodes();
  bool read_inode(Numbers& inodes, std::uint64_t& at);
  bool read_file(Numbers& inodes, std::uint64_t inode, std::uint64_t& at, bool is_long);
  void name_files();
  void read_folder(const Folder& folder, const std::string& path, std::vector<std::pair<Folder, std::string>>& open);
  bool finish_blocks();
  std::optional<Table> read_table(std::uint64_t start, std::uint64_t end, const std::string& name);
  // The block at `place`; two that differ there, or one outside of the image, end the reading.
  std::optional<std::uint32_t> add_block(std::uint64_t place, std::uint32_t bytes, std::uint32_t unpacked);

  ByteView image_;
  Numbers super_;
  ImageMap map_;
  Table inodes_;
  Table folders_;
  struct Fragment {
    std::uint64_t place = 0;
    std::uint32_t bytes = 0;
    bool is_plain = false;
    std::uint32_t reach = 0;  // the end of the last tail in it
  };
  std::vector<Fragment> fragments_;
  struct Tail {
    std::size_t file = 0;
    std::uint32_t fragment = 0;
    std::uint32_t offset = 0;
    std::uint32_t bytes = 0;
  };
  std::vector<Tail> tails_;
  std::map<std::uint64_t, std::uint32_t> by_place_;
  std::unordered_map<std::uint64_t, std::size_t> files_;     // place of an inode in the table → file
  std::unordered_map<std::uint64_t, Folder> folder_inodes_;  // of those not named yet
  std::size_t names_left_ = limits::kImageFilesMax;          // files that have more names than one included
};

bool Squashfs::read_super() {
  if (image_.size() < kSuperBytes || image_.size() > limits::kDeltaFileBytesMax || super_.u32(0) != kMagic ||
      super_.u16(28) != 4 || super_.u16(30) != 0) {
    return false;
  }
  switch (super_.u16(20)) {
    case 1: map_.method = BlockMethod::zlib; break;
    case 4: map_.method = BlockMethod::xz; break;
    case 5: map_.method = BlockMethod::lz4; break;
    case 6: map_.method = BlockMethod::zstd; break;
    default: return false;
  }
  map_.block_bytes = super_.u32(12);
  return map_.block_bytes >= 4096 && map_.block_bytes <= limits::kBlockBytesMax &&
         super_.u32(16) <= limits::kImageFilesMax;
}

bool Squashfs::read_options() {
  map_.files_spec.method = map_.tables_spec.method = map_.method;
  const bool has_options = (super_.u16(24) & kHasOptions) != 0;
  Numbers image(image_);
  constexpr std::uint64_t kOptionsAt = kSuperBytes + 2;
  BlockSpec& spec = map_.files_spec;
  const std::uint32_t first = has_options ? image.u32(kOptionsAt) : 0;
  const auto level = static_cast<std::uint8_t>(std::min<std::uint32_t>(first, 0xff));
  switch (map_.method) {
    case BlockMethod::zlib:
      spec.level = has_options ? level : 9;
      if (has_options) spec.window_bits = static_cast<std::uint8_t>(image.u16(kOptionsAt + 4));
      break;
    case BlockMethod::xz:
      spec.level = 6;
      spec.dictionary_bytes = has_options ? first : map_.block_bytes;
      break;
    case BlockMethod::lz4:
      // Its options are a version and a flag: thorough, at the best level.
      spec.level = has_options && (image.u32(kOptionsAt + 4) & 1U) != 0 ? 12 : 0;
      break;
    case BlockMethod::zstd: spec.level = has_options ? level : 15; break;
    case BlockMethod::deflate:
    case BlockMethod::lzma2: return false;  // no file system has them
  }
  map_.tables_spec = spec;
  if (map_.method == BlockMethod::xz) map_.tables_spec.dictionary_bytes = kTableBlockBytes;
  return !image.ended && is_sound(map_.files_spec) && is_sound(map_.tables_spec);
}

std::optional<std::uint32_t> Squashfs::add_block(std::uint64_t place, std::uint32_t bytes, std::uint32_t unpacked) {
  if (bytes == 0 || unpacked == 0 || place < kSuperBytes || place > image_.size() || bytes > image_.size() - place ||
      unpacked > map_.block_bytes || bytes > unpacked) {
    return std::nullopt;
  }
  const auto [at, is_new] = by_place_.emplace(place, static_cast<std::uint32_t>(map_.blocks.size()));
  if (is_new) {
    map_.blocks.push_back({static_cast<std::uint32_t>(place), bytes, unpacked, false});
    if (map_.blocks.size() > limits::kBlockStretchesMax) return std::nullopt;
    return at->second;
  }
  const ImageBlock& there = map_.blocks[at->second];
  if (there.bytes != bytes || there.unpacked_bytes != unpacked) return std::nullopt;
  return at->second;
}

std::optional<Table> Squashfs::read_table(std::uint64_t start, std::uint64_t end, const std::string& name) {
  Table table;
  ImageFile file{name, {}, true};
  const auto decoder = BlockDecoder::make(map_.method);
  Numbers image(image_);
  Bytes unpacked(kTableBlockBytes);
  for (std::uint64_t at = start; at < end;) {
    const std::uint16_t head = image.u16(at);
    const std::uint32_t bytes = head & ~kTableIsPlain;
    if (image.ended || bytes == 0 || bytes > kTableBlockBytes || at + 2 + bytes > end) return std::nullopt;
    const ByteView block = image_.subspan(static_cast<std::size_t>(at) + 2, bytes);
    ByteView content = block;
    if ((head & kTableIsPlain) == 0) {
      const auto got = decoder->decode(block, unpacked);
      // One that has not shrunk is no block that mksquashfs writes compressed.
      if (!got || *got <= bytes) return std::nullopt;
      content = ByteView(unpacked).first(*got);
    }
    const auto size = add_block(at, 2, 2);
    const auto body = add_block(at + 2, bytes, static_cast<std::uint32_t>(content.size()));
    if (!size || !body) return std::nullopt;
    file.runs.push_back({*size, 0, 2});
    file.runs.push_back({*body, 0, static_cast<std::uint32_t>(content.size())});
    table.starts.emplace(at - start, table.bytes.size());
    if (table.bytes.size() + content.size() > limits::kImageTableBytesMax) return std::nullopt;
    table.bytes.insert(table.bytes.end(), content.begin(), content.end());
    at += 2 + bytes;
  }
  if (!file.runs.empty()) map_.files.push_back(std::move(file));
  return table;
}

// Tables end where the next one begins; the last ones have lists of their blocks, of which the first entry says where
// the table itself begins.
bool Squashfs::read_tables() {
  Numbers image(image_);
  const std::uint64_t inodes = super_.u64(64);
  const std::uint64_t folders = super_.u64(72);
  std::uint64_t folders_end = image_.size();
  struct Listed {
    std::uint64_t start;
    std::uint64_t list;
    const char* name;
  };
  std::vector<Listed> listed;
  for (const auto& [field, name] : {std::pair{48, "#ids"}, std::pair{80, "#fragments"}, std::pair{88, "#exports"}}) {
    const std::uint64_t list = super_.u64(static_cast<std::uint64_t>(field));
    if (list == kNoTable || list < kSuperBytes || (field == 80 && super_.u32(16) == 0)) continue;
    const std::uint64_t start = image.u64(list);
    if (image.ended || start >= list) return false;
    listed.push_back({start, list, name});
    folders_end = std::min(folders_end, start);
  }
  if (const std::uint64_t xattrs = super_.u64(56); xattrs != kNoTable) {
    const std::uint64_t start = image.u64(xattrs);
    const std::uint64_t first_list = image.u64(xattrs + 16);
    if (image.ended || start >= first_list || first_list >= xattrs) return false;
    listed.push_back({start, first_list, "#xattrs"});
    listed.push_back({first_list, xattrs, "#xattr-ids"});
    folders_end = std::min(folders_end, start);
  }
  if (inodes < kSuperBytes || inodes >= folders || folders > folders_end || folders_end > image_.size()) return false;
  auto inode_table = read_table(inodes, folders, "#inodes");
  auto folder_table = read_table(folders, folders_end, "#folders");
  if (!inode_table || !folder_table) return false;
  inodes_ = std::move(*inode_table);
  folders_ = std::move(*folder_table);
  for (const Listed& each : listed) {
    const auto table = read_table(each.start, each.list, each.name);
    if (!table) return false;
    if (std::string_view(each.name) != "#fragments") continue;
    Numbers rows(table->bytes);
    for (std::uint64_t i = 0; i < super_.u32(16); ++i) {
      const std::uint32_t size = rows.u32(i * kFragmentBytes + 8);
      fragments_.push_back({rows.u64(i * kFragmentBytes), size & ~kBlockIsPlain, (size & kBlockIsPlain) != 0, 0});
    }
    if (rows.ended) return false;
  }
  return fragments_.size() == super_.u32(16);
}

bool Squashfs::read_file(Numbers& inodes, std::uint64_t inode, std::uint64_t& at, bool is_long) {
  std::uint64_t place = is_long ? inodes.u64(at) : inodes.u32(at);
  const std::uint64_t size = is_long ? inodes.u64(at + 8) : inodes.u32(at + 12);
  const std::uint32_t fragment = inodes.u32(at + (is_long ? 28 : 4));
  const std::uint32_t offset = inodes.u32(at + (is_long ? 32 : 8));
  at += is_long ? 40 : 16;
  if (inodes.ended || size > limits::kDeltaFileBytesMax) return false;
  const std::uint32_t whole = map_.block_bytes;
  const std::uint64_t count = fragment == kNoFragment ? (size + whole - 1) / whole : size / whole;
  ImageFile file{"#" + std::to_string(inode), {}, false};
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint32_t word = inodes.u32(at);
    at += 4;
    if (inodes.ended) return false;
    const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(whole, size - i * whole));
    if (word == 0) {
      file.runs.push_back({ImageRun::kHole, 0, bytes});
      continue;
    }
    const std::uint32_t packed = word & ~kBlockIsPlain;
    if (((word & kBlockIsPlain) != 0) != (packed == bytes)) return false;
    const auto block = add_block(place, packed, bytes);
    if (!block) return false;
    file.runs.push_back({*block, 0, bytes});
    place += packed;
  }
  if (fragment != kNoFragment && size % whole != 0) {
    const auto bytes = static_cast<std::uint32_t>(size % whole);
    if (fragment >= fragments_.size() || offset > whole || bytes > whole - offset) return false;
    fragments_[fragment].reach = std::max(fragments_[fragment].reach, offset + bytes);
    tails_.push_back({map_.files.size(), fragment, offset, bytes});
  }
  files_.emplace(inode, map_.files.size());
  map_.files.push_back(std::move(file));
  return map_.files.size() <= limits::kImageFilesMax;
}

bool Squashfs::read_inode(Numbers& inodes, std::uint64_t& at) {
  const std::uint64_t inode = at;
  const std::uint16_t type = inodes.u16(at);
  at += 16;
  switch (type) {
    case 1:
      folder_inodes_[inode] = {inodes.u32(at), inodes.u16(at + 10), inodes.u16(at + 8)};
      at += 16;
      break;
    case 2: return read_file(inodes, inode, at, false);
    case 9: return read_file(inodes, inode, at, true);
    case 3: at += 8 + std::uint64_t{inodes.u32(at + 4)}; break;
    case 10: at += 12 + std::uint64_t{inodes.u32(at + 4)}; break;
    case 4:
    case 5: at += 8; break;
    case 6:
    case 7: at += 4; break;
    case 11:
    case 12: at += 12; break;
    case 13:
    case 14: at += 8; break;
    case 8: {
      folder_inodes_[inode] = {inodes.u32(at + 8), inodes.u16(at + 18), inodes.u32(at + 4)};
      const std::uint16_t indexes = inodes.u16(at + 16);
      at += 24;
      for (std::uint16_t i = 0; i < indexes && !inodes.ended; ++i) at += 12 + std::uint64_t{inodes.u32(at + 8)} + 1;
      break;
    }
    default: return false;
  }
  return !inodes.ended;
}

bool Squashfs::read_inodes() {
  Numbers inodes(inodes_.bytes);
  for (std::uint64_t at = 0; at < inodes.size();) {
    if (!read_inode(inodes, at)) return false;
  }
  for (std::uint32_t i = 0; i < fragments_.size(); ++i) {
    const Fragment& fragment = fragments_[i];
    if (fragment.reach == 0) continue;  // no file has anything of it: its bytes stay as they are
    if (fragment.is_plain != (fragment.bytes == fragment.reach)) return false;
    const auto block = add_block(fragment.place, fragment.bytes, fragment.reach);
    if (!block) return false;
    map_.blocks[*block].is_shared = true;
  }
  for (const Tail& tail : tails_) {
    const auto block = by_place_.find(fragments_[tail.fragment].place);
    if (block == by_place_.end()) return false;
    map_.files[tail.file].runs.push_back({block->second, tail.offset, tail.bytes});
  }
  return true;
}

// By the folders from the root on, each once, whatever a hostile image says that it holds. A file that no
// folder names keeps its number.
void Squashfs::name_files() {
  const std::uint64_t root = super_.u64(32);
  const auto block = inodes_.starts.find(root >> 16);
  if (block == inodes_.starts.end()) return;
  const auto first = folder_inodes_.find(block->second + (root & 0xffff));
  if (first == folder_inodes_.end()) return;
  std::vector<std::pair<Folder, std::string>> open{{first->second, ""}};
  folder_inodes_.erase(first);
  while (!open.empty()) {
    const auto [folder, path] = std::move(open.back());
    open.pop_back();
    read_folder(folder, path, open);
  }
}

void Squashfs::read_folder(const Folder& folder, const std::string& path,
                           std::vector<std::pair<Folder, std::string>>& open) {
  constexpr std::uint32_t kNotThere = 3;  // the size counts "." and ".."
  const auto block = folders_.starts.find(folder.block);
  if (block == folders_.starts.end() || folder.bytes < kNotThere) return;
  Numbers rows(folders_.bytes);
  std::uint64_t at = block->second + folder.offset;
  const std::uint64_t end = at + folder.bytes - kNotThere;
  while (at < end && !rows.ended && names_left_ > 0) {
    const std::uint64_t count = std::uint64_t{rows.u32(at)} + 1;
    const auto inode_block = inodes_.starts.find(rows.u32(at + 4));
    at += 12;
    for (std::uint64_t i = 0; i < count && at < end && !rows.ended && names_left_ > 0; ++i) {
      --names_left_;
      const std::uint16_t offset = rows.u16(at);
      const std::uint64_t name_bytes = std::uint64_t{rows.u16(at + 6)} + 1;
      const std::uint64_t name_at = at + 8;
      at = name_at + name_bytes;
      if (at > folders_.bytes.size() || inode_block == inodes_.starts.end()) return;
      const auto name = as_text(
          ByteView(folders_.bytes).subspan(static_cast<std::size_t>(name_at), static_cast<std::size_t>(name_bytes)));
      const std::uint64_t inode = inode_block->second + offset;
      std::string full = path.empty() ? std::string(name) : path + "/" + std::string(name);
      if (full.size() > limits::kPathBytesMax) continue;
      if (const auto file = files_.find(inode); file != files_.end()) {
        map_.files[file->second].path = std::move(full);
      } else if (const auto below = folder_inodes_.extract(inode)) {
        open.emplace_back(below.mapped(), std::move(full));
      }
    }
  }
}

// Files with the same content have the same blocks: only the first one keeps them. Then all is put in order, and what
// is between the blocks becomes blocks too.
bool Squashfs::finish_blocks() {
  std::vector<bool> taken(map_.blocks.size());
  for (ImageFile& file : map_.files) {
    const bool is_again = std::ranges::any_of(file.runs, [&](const ImageRun& run) {
      return run.block != ImageRun::kHole && !map_.blocks[run.block].is_shared && taken[run.block];
    });
    if (is_again) file.runs.clear();
    for (const ImageRun& run : file.runs) {
      if (run.block == ImageRun::kHole || map_.blocks[run.block].is_shared) continue;
      if (taken[run.block]) return false;
      taken[run.block] = true;
    }
  }
  std::erase_if(map_.files, [](const ImageFile& file) { return file.runs.empty(); });
  std::vector<std::uint32_t> new_number(map_.blocks.size());
  std::vector<ImageBlock> in_order;
  std::uint64_t reached = 0;
  std::size_t gaps = 0;
  const auto fill_up_to = [&](std::uint64_t place) {
    if (place == reached) return;
    const auto bytes = static_cast<std::uint32_t>(place - reached);
    map_.files.push_back(
        {"#between " + std::to_string(gaps++), {{static_cast<std::uint32_t>(in_order.size()), 0, bytes}}, true});
    in_order.push_back({static_cast<std::uint32_t>(reached), bytes, bytes, false});
  };
  const std::size_t files = map_.files.size();
  for (const auto& [place, number] : by_place_) {
    if (place < reached) return false;
    fill_up_to(place);
    new_number[number] = static_cast<std::uint32_t>(in_order.size());
    in_order.push_back(map_.blocks[number]);
    reached = place + map_.blocks[number].bytes;
  }
  fill_up_to(image_.size());
  for (std::size_t i = 0; i < files; ++i) {
    for (ImageRun& run : map_.files[i].runs) {
      if (run.block != ImageRun::kHole) run.block = new_number[run.block];
    }
  }
  map_.blocks = std::move(in_order);
  return map_.blocks.size() <= limits::kBlockStretchesMax;
}

}  // namespace

std::optional<ImageMap> map_squashfs(ByteView image) {
  return Squashfs(image).map();
}

}  // namespace instar::delta

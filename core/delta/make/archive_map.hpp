// Archives whose inner files are compressed one by one: where those are, and what is in them. Bytes from outside:
// whatever they are, inner files that hold together come out, or none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/delta/block_codec.hpp"

namespace instar::delta {

struct InnerFile {
  std::string name;         // "outer.jar!inner" in an archive that an archive holds
  std::uint32_t place = 0;  // of its bytes in the file
  std::uint32_t bytes = 0;
  Bytes content;
  // Its bytes are the content; those of a compressed one are fewer or more, never as many.
  [[nodiscard]] bool is_stored() const noexcept { return content.size() == bytes; }
};

struct ArchiveMap {
  BlockMethod method = BlockMethod::deflate;
  std::uint32_t dictionary_bytes = 0;  // of lzma2
  std::vector<InnerFile> files;        // by place, none in another; at least one
};

// Whether a file may be such an archive. Of the start of a file alone that can be said too, but for archives with
// something before them.
[[nodiscard]] bool may_be_archive(ByteView start) noexcept;

// zip, jar, war, whl, apk: inner files with deflate or stored, and those of an archive that is stored in it; and .xz,
// of which each block is an inner file. Inner files that are damaged, encrypted or compressed otherwise, or that zip64
// describes, are left out. nullopt when none is left, or when they have more than kGzipFindBytesMax bytes of content.
[[nodiscard]] std::optional<ArchiveMap> map_archive(ByteView file);

// Each reads one kind.
[[nodiscard]] std::optional<ArchiveMap> map_zip(ByteView file);
[[nodiscard]] std::optional<ArchiveMap> map_xz(ByteView file);

// What `packed` decompresses to, if that is `content_bytes`, of which packed is all there is.
[[nodiscard]] std::optional<Bytes> unpack_stream(const ArchiveMap& map, ByteView packed, std::size_t content_bytes);

}  // namespace instar::delta

// A pack on disk: its directory, then the encoded chunks in order of ordinal, and nothing after them.
// docs/formats/pack-file.md
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "publisher/artifact/descriptor.hpp"

namespace instar::publisher {

// Takes chunks in the order of make_pack(): first the body, which is kept beside the file until the end, then the head.
// For one thread.
class PackFileWriter final : public artifact::PackSink {
 public:
  [[nodiscard]] static Result<PackFileWriter> create(const std::string& path);
  PackFileWriter(PackFileWriter&&) noexcept = default;
  PackFileWriter& operator=(PackFileWriter&&) noexcept = default;
  // Removes the temporary files, unless finish() made a pack of them.
  ~PackFileWriter() override;

  [[nodiscard]] Status put(bool head, std::uint32_t ordinal, const artifact::ChunkRef& ref, ByteView encoded) override;
  // Writes the file under its final name and syncs it. Errors: internal (`directory` does not describe the chunks).
  [[nodiscard]] Status finish(const artifact::PackDirectory& directory);

 private:
  PackFileWriter(std::string path, Descriptor body);
  std::string path_;
  Descriptor body_;
  Bytes head_;
  std::uint64_t body_bytes_ = 0;
  std::uint32_t head_count_ = 0;
  std::uint32_t body_count_ = 0;
};

// An open pack file. Its directory is in memory, its chunks are read when needed. Any thread may call what reads.
class PackFile {
 public:
  // Reads the directory, and of a delta the head too. Checks that the file is exactly as long as the directory says;
  // verify() checks the chunks. Errors: not_found, io, malformed, too_large, unsupported, corrupt (too short or too
  // long).
  [[nodiscard]] static Result<PackFile> open(const std::string& path);

  [[nodiscard]] const PackId& id() const noexcept { return id_; }
  [[nodiscard]] const artifact::PackDirectory& directory() const noexcept { return directory_; }
  [[nodiscard]] const Bytes& directory_bytes() const noexcept { return directory_bytes_; }
  [[nodiscard]] const std::string& path() const noexcept { return file_.path(); }
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return offsets_.back(); }
  // Memory that decoding this pack needs at its peak. For full and dedupe packs: the largest chunk as sent and decoded,
  // and the decoder's own state. A delta has the number in its head.
  [[nodiscard]] std::uint32_t memory_bytes() const noexcept { return memory_bytes_; }
  // Bytes that a device fetches when it needs all of it: head and body as sent.
  [[nodiscard]] std::uint64_t wire_bytes() const noexcept { return file_bytes() - directory_bytes_.size(); }
  // The encoded bytes of one chunk. Errors: invalid_argument (no such ordinal), io, corrupt (the file became shorter).
  [[nodiscard]] Result<Bytes> read_chunk(std::uint32_t ordinal) const;
  // One chunk decoded, its hash checked. Errors: those of read_chunk() and artifact::decode_chunk().
  [[nodiscard]] Result<Bytes> decode_chunk(std::uint32_t ordinal) const;
  // The bytes of the body as they are sent, joined, for a delta's decoder. Returns fewer than asked for only at the
  // end. Errors: io.
  [[nodiscard]] Result<std::size_t> read_body(std::uint64_t offset, std::span<std::uint8_t> out) const;
  // Decodes every chunk and checks its hash. `visit`, if given, gets each decoded chunk in order.
  using ChunkVisitor = std::function<Status(std::uint32_t ordinal, ByteView decoded)>;
  [[nodiscard]] Status verify(const ChunkVisitor& visit) const;

 private:
  PackFile() = default;
  Descriptor file_;
  PackId id_;
  Bytes directory_bytes_;
  artifact::PackDirectory directory_;
  std::vector<std::uint64_t> offsets_;  // where each chunk starts, then where the last one ends
  std::uint32_t memory_bytes_ = 0;
};

// Bytes of MQTT framing for all chunks of the pack, in pieces of the default size.
[[nodiscard]] std::uint32_t framing_bytes(const artifact::PackDirectory& directory);

}  // namespace instar::publisher

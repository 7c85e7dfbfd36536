#pragma once
#include <cstddef>
#include <cstdint>
#include "core/base/limits.hpp"
namespace instar::limits {
// Ranges that a device's session may have open: past it a device does not follow the protocol, and is told `busy`.
inline constexpr std::size_t kSessionRangesMax = 256;
// Bytes of encoded chunks, and of decoded directories, that the broker keeps for all devices together: past each those
// used longest ago are read again when they are wanted.
inline constexpr std::size_t kChunkCacheBytesMax = 16 * 1024 * 1024;
inline constexpr std::size_t kDirectoryCacheBytesMax = 16 * 1024 * 1024;
// Chunks that are being read at a time: bounds what comes into memory at once. Past it devices wait.
inline constexpr std::size_t kChunkLoadsMax = 32;
// Bytes of pieces sent in one go: past it other work has its turn first.
inline constexpr std::size_t kPumpBytesMax = 4 * 1024 * 1024;
// Bytes of objects that are not whole yet, of all uploading clients together. Past it they are answered `unavailable`.
inline constexpr std::size_t kUploadAssemblyBytesMax = 48 * 1024 * 1024;
// Bytes of chunks given to the store and not durable yet. Past it clients are answered `unavailable`.
inline constexpr std::size_t kUploadWritingBytesMax = 16 * 1024 * 1024;
// Clients that upload at a time, one object each. Past it the next is answered `unavailable`.
inline constexpr std::size_t kUploadClientsMax = 64;
// Packs that are being uploaded at a time. Past it the one used longest ago is dropped: its client sends the directory
// again, and what is in the store stays.
inline constexpr std::size_t kUploadPacksMax = 16;
// Keys of one question to the store: larger packs take several, so that devices are read for in between.
inline constexpr std::uint32_t kLookUpKeysMax = 1024;
// Commands in one control message. Past it none of them is run.
inline constexpr std::size_t kCommandsMax = 16;
// Rows of one page of a list. Past it the answer has fewer than were asked for.
inline constexpr std::uint64_t kPageRowsMax = 1'000;
// Bytes of all rows in one answer: leaves room for the rest of it within kMessageBytesMax. Past it the page is shorter.
inline constexpr std::size_t kReplyRowBytesMax = 96 * 1024;
// Distinct reasons in a status, and releases in a group's row: the most frequent ones. The others are left out.
inline constexpr std::size_t kStatusReasonsMax = 16;
inline constexpr std::size_t kGroupReleasesMax = 8;
// Log lines a second about refused messages: a flood of them fills no disk. Past it they are counted only.
inline constexpr int kComplaintsPerSecondMax = 10;
// Bytes of the file with the gate key: a larger one is no key, and the broker does not start.
inline constexpr std::size_t kKeyFileBytesMax = 4096;
// Bytes of the transfer log that wait to be written. Past it lines are lost, and counted.
inline constexpr std::size_t kTransferLogBytesMax = 1024 * 1024;
}

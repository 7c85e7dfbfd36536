// Every bound of the system, each with its unit, its reason, and what breaks past it.
// docs/limits.md is the page for operators; keep the two in step.
#pragma once

#include <cstddef>
#include <cstdint>

namespace instar::limits {

// --- chunks and pieces ---------------------------------------------------------------------------
// Bytes of a chunk once decoded. Bounds a device's decode buffer; past it a chunk is refused.
inline constexpr std::size_t kChunkDecodedBytesMax = 256 * 1024;
// Bytes of a chunk as sent: incompressible data grows a little under zstd, raw never does.
inline constexpr std::size_t kChunkEncodedBytesMax = kChunkDecodedBytesMax + 1024;
// Bytes of data in one chunk message. 16–32 KiB is the knee of CPU a MB; larger pieces hold up telemetry.
inline constexpr std::uint32_t kPieceBytesDefault = 32 * 1024;
inline constexpr std::uint32_t kPieceBytesMin = 512;
// AWS IoT, EMQX and NATS bound a packet at 128 KB: a larger piece would not pass a bridge to them.
inline constexpr std::uint32_t kPieceBytesMax = 96 * 1024;
// Bytes the broker may be ahead of a device. A client that stalls holds this much in the broker, no more.
inline constexpr std::uint32_t kWindowBytesMax = 512 * 1024;
// Pieces in flight a device: Mosquitto's own queue holds 1000 packets and drops PINGRESP past it.
inline constexpr std::uint32_t kWindowPiecesMax = 16;
// Bytes in flight to all devices together: bounds the broker's memory.
inline constexpr std::size_t kInFlightBytesMax = 64 * 1024 * 1024;
// Ranges in one fetch message.
inline constexpr std::size_t kFetchRangesMax = 64;
// Ranges that a device's session may have open: past it a device does not follow the protocol, and is told `busy`.
inline constexpr std::size_t kSessionRangesMax = 4 * kFetchRangesMax;
// Bytes of an upload piece.
inline constexpr std::uint32_t kPutPieceBytesMax = 64 * 1024;
// Bytes of a pack's directory: 80, and 41 for each of kPackChunksMax chunks.
inline constexpr std::uint32_t kDirectoryBytesMax = 16 * 1024 * 1024;
// Ranges in each list of a stored message: about half of kMessageBytesMax. Past it the broker names the first ones
// only, and the publisher asks again with the directory.
inline constexpr std::size_t kStoredRangesMax = 4096;

// --- messages ------------------------------------------------------------------------------------
// Bytes of any one message of ours: the 128 KB of the brokers named above.
inline constexpr std::size_t kMessageBytesMax = 128 * 1024;
inline constexpr std::size_t kSignaturesMax = 16;
inline constexpr std::size_t kRootKeysMax = 32;
inline constexpr std::size_t kTextBytesMax = 1024;  // a reason, a note
inline constexpr std::size_t kNameBytesMax = 64;    // device id, product, release, container, volume
inline constexpr std::size_t kGroupBytesMax = 128;
// MQTT brokers of the clouds allow 7 slashes in a topic; prefix (1) + g (1) + manifest (1) leave 4 for the group.
inline constexpr std::size_t kTopicSlashesMax = 7;
inline constexpr std::size_t kGroupsMax = 16;  // a manifest's, a device's
inline constexpr std::size_t kArtifactsMax = 16;
inline constexpr std::size_t kPacksMax = 32;  // of one artifact
inline constexpr std::size_t kContainersMax = 16;
inline constexpr std::size_t kSettingsMax = 64;
inline constexpr std::size_t kVolumesMax = 16;
inline constexpr std::size_t kArgumentsMax = 64;  // of an init or probe command
inline constexpr std::size_t kWavesMax = 32;
inline constexpr std::size_t kNamedDevicesMax = 256;  // of one wave
inline constexpr std::size_t kWindowsMax = 16;
inline constexpr std::size_t kHeadChunksMax = 256;
inline constexpr std::size_t kSettingValueBytesMax = 1024;
inline constexpr std::size_t kArchitecturesMax = 16;
inline constexpr std::size_t kSaltBytesMax = 64;
inline constexpr std::size_t kPackFormatsMax = 16;   // of a hello
inline constexpr std::size_t kDegradedMax = 16;      // of a hello
inline constexpr std::size_t kImageFormatsMax = 16;  // of a hello
inline constexpr std::size_t kHandlersMax = 32;      // of a hello
// Milliseconds of any one health time (settle, probe, ready). Past it a bad release would hold a device for over a day.
inline constexpr std::uint32_t kHealthMsMax = 24 * 3'600 * 1'000;
// The end of the year 9999, milliseconds since 1970: arithmetic on times below it cannot overflow.
inline constexpr std::int64_t kWallMsMax = 253'402'300'799'999;

// --- artifacts -----------------------------------------------------------------------------------
inline constexpr std::size_t kPathBytesMax = 1024;
inline constexpr std::size_t kPathComponentBytesMax = 255;  // NAME_MAX of ext4
inline constexpr std::size_t kEntriesMax = 200'000;
inline constexpr std::size_t kIndexBytesMax = 32 * 1024 * 1024;
inline constexpr std::size_t kXattrsMax = 16;
inline constexpr std::size_t kXattrBytesMax = 4096;
inline constexpr std::uint64_t kContentBytesMax = std::uint64_t{4} << 30;
inline constexpr std::uint32_t kPackChunksMax = 400'000;
// Documents and packs in one file for a device without a link.
inline constexpr std::uint32_t kBundlePartsMax = 1'024;

// --- delta packs -----------------------------------------------------------------------------------
// Bytes that a decoder holds of one stream. Past 64 KiB only new text gains; 1 MiB is what a device of 64 MB can spare
// for it.
inline constexpr std::uint32_t kDeltaWindowBytesMax = 1024 * 1024;
// Bytes of a wire chunk of a delta's body but the last: a lost link costs at most one, and its hash half a thousandth
// of it.
inline constexpr std::uint32_t kDeltaChunkBytes = 64 * 1024;
// Operations of one file: a decoder holds 16 bytes of each. A release of Node.js (122 MB in one file) has 9 000.
inline constexpr std::uint32_t kDeltaOperationsMax = 16 * 1024;
// ELF headers of one file that reference prediction looks at; past them bytes are plain. Linkers make 2 to 5, and 30
// to 40.
inline constexpr std::size_t kDeltaSegmentsMax = 16;
inline constexpr std::size_t kDeltaSectionsMax = 64;
// Files of a delta's base that may be other than they should before the base is of no use: each takes 24 bytes on the
// device.
inline constexpr std::size_t kDeltaDamagedMax = 1'024;

// --- gzip files inside a delta -------------------------------------------------------------------
// Bytes of a gzip file's header that a recipe carries: fixed part, name, comment. Past it the file is sent as it is.
inline constexpr std::size_t kGzipHeaderBytesMax = 512;
// Forced block ends in one recipe: 4 bytes each in the device. GNU gzip makes one in 30 KB of content or more.
inline constexpr std::size_t kGzipCutsMax = 1024;
// Bytes of content that the publisher unpacks to look for a recipe; it holds them in memory. Larger ones are taken as
// they are.
inline constexpr std::size_t kGzipFindBytesMax = 256 * 1024 * 1024;

// --- broker --------------------------------------------------------------------------------------
inline constexpr std::size_t kDevicesMax = 200'000;
inline constexpr std::size_t kRolloutsMax = 1'000;
// Rollouts of a product whose members are kept one by one; of older ones the sums are. Bounds memory and disk by the
// fleet, not by the number of releases: about 300 bytes a device and rollout in memory.
inline constexpr std::size_t kRolloutsWithMembersMax = 8;
// Reports of a device, and events of a rollout, that its history keeps: the newest.
inline constexpr std::size_t kHistoryReportsMax = 50;
inline constexpr std::size_t kHistoryEventsMax = 500;
// Stops of a container within an hour that a policy may ask for before a release is given up.
inline constexpr std::uint32_t kFallBackStopsMax = 60;
// Messages whose signatures wait to be checked by the broker's threads. Past it devices send again.
inline constexpr std::size_t kVerifyQueueMax = 16'384;
// Threads that check them, 60 µs each: one does some 15,000 a second.
inline constexpr std::uint32_t kVerifyThreadsMax = 64;
// Store writes not yet durable. Past it the service answers `unavailable` and devices send again.
inline constexpr std::size_t kStoreQueueMax = 65'536;
inline constexpr std::int64_t kStatusIntervalMs = 1'000;
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
// Gates are signed anew with the time: what an idle device hears in a month, beside its keepalive.
inline constexpr std::int64_t kGateRefreshMs = 24 * 3'600 * 1'000;

// --- device --------------------------------------------------------------------------------------
inline constexpr std::size_t kPendingReportsMax = 256;
inline constexpr std::size_t kFailedReleasesMax = 32;
// Boots with an uncommitted revision before the device goes back: a release that makes the machine reboot must not do
// so for ever.
inline constexpr std::uint32_t kTryStartsMax = 3;
// Restarts of the client alone, within one boot, before it goes back. Containers outlive them, so each says little
// about the release; that they never end says that no verdict will come.
inline constexpr std::uint32_t kTryClientStartsMax = 64;

// --- operator ------------------------------------------------------------------------------------
// Bytes of memory for the files that are being compared for a delta, all threads together; a file that needs more is
// compared alone.
inline constexpr std::uint64_t kDeltaMatchBytesMax = std::uint64_t{512} * 1024 * 1024;

}  // namespace instar::limits

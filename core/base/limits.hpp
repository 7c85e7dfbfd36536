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

// Bytes of an MQTT packet that a client of ours takes: a message of kMessageBytesMax, its topic of at most 64 KiB, and
// what a broker adds. Past it the connection is ended before the packet is in memory.
inline constexpr std::size_t kPacketBytesMax = 256 * 1024;
// Bytes of messages that came and that the program has not taken yet: eight windows. Past it a message that may be lost
// is lost, and others wait in the network.
inline constexpr std::size_t kEventBytesMax = 4 * 1024 * 1024;

// Milliseconds of each step by which a client finds out why a connection failed: a slow link answers within them. Past
// it the step counts as not answered.
inline constexpr std::int64_t kProbeStepMs = 5'000;
// Milliseconds that it stays connected after a connection was lost: another client with its id comes back within them.
inline constexpr std::int64_t kProbeLingerMs = 4'000;
// Milliseconds that it waits for an answer that did not come to the client itself.
inline constexpr std::int64_t kProbeAnswerMs = 2'000;

// --- messages ------------------------------------------------------------------------------------
// Bytes of any one message of ours: the 128 KB of the brokers named above.
inline constexpr std::size_t kMessageBytesMax = 128 * 1024;
inline constexpr std::size_t kSignaturesMax = 16;
// A signed approval with all the signatures that an envelope may have; a gate carries it. Past it it is refused.
inline constexpr std::size_t kApprovalBytesMax = 2 * 1024;
inline constexpr std::size_t kRootKeysMax = 32;
// Versions of the root document that a broker keeps: a key ceremony a week for twenty years. Past it none that is
// missing before those is taken.
inline constexpr std::size_t kRootChainMax = 1'000;
// Milliseconds before a root document expires in which operators, brokers and devices say so.
inline constexpr std::int64_t kRootExpiryWarnMs = 2'592'000'000;
inline constexpr std::size_t kTextBytesMax = 1024;  // a reason, a note
inline constexpr std::size_t kNameBytesMax = 64;    // device id, product, release, container, volume
inline constexpr std::size_t kGroupBytesMax = 128;
// Gates of ended rollouts in an ack: of the one that a device is at, and of the one that it runs.
inline constexpr std::size_t kAckEndingsMax = 2;
// MQTT brokers of the clouds allow 7 slashes in a topic. One in the prefix, one after it, one after `manifest` and one
// before the product leave 3 in the group: 4 levels.
inline constexpr std::size_t kTopicSlashesMax = 7;
// Levels of a group, and of a topic prefix: what the bound of slashes leaves room for. Past it the name is refused.
inline constexpr std::size_t kGroupLevelsMax = 4;
inline constexpr std::size_t kPrefixLevelsMax = 2;
// Bytes of a topic prefix: Mosquitto takes no $CONTROL topic shorter than "$CONTROL/A/v1". Below it the broker's plugin
// does not start.
inline constexpr std::size_t kPrefixBytesMin = 4;
// Tables in one message. The smallest takes 8 bytes with the offset to it, but a hostile buffer may name one table many
// times: this bounds the work of looking at it. Past it the message is malformed.
inline constexpr std::uint32_t kMessageTablesMax = kMessageBytesMax / 8;
// Tables inside tables: a manifest's chunk is the deepest, at 4. Past it the message is malformed.
inline constexpr std::uint32_t kMessageTableDepthMax = 8;
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
inline constexpr std::size_t kPackFormatsMax = 16;  // of a hello
inline constexpr std::size_t kDegradedMax = 16;     // of a hello
// Bytes of one of them: with all of them a hello stays below kHelloBytesMax. Past it the text is cut.
inline constexpr std::size_t kDegradedBytesMax = 512;
inline constexpr std::size_t kImageFormatsMax = 16;  // of a hello
inline constexpr std::size_t kHandlersMax = 32;      // of a hello
inline constexpr std::size_t kTokenBytesMax = 64;    // of a hello: the one-time token of an enrolment
// Milliseconds of any one health time (settle, probe, ready). Past it a bad release would hold a device for over a day.
inline constexpr std::uint32_t kHealthMsMax = 24 * 3'600 * 1'000;
// Each number of bytes in a report: above what all packs of a release have, fetched several times, and small enough
// that the sum over kDevicesMax devices cannot overflow. Past it the report is refused.
inline constexpr std::uint64_t kReportedBytesMax = std::uint64_t{1} << 44;
// How far a release's sequence may be above the highest one known for its product and group, at the broker and on a
// device; of the first release, above 0. Past it the release is refused, so that a stolen key cannot use the numbers
// up.
inline constexpr std::uint64_t kSequenceStepMax = 1'000'000;
// Milliseconds that an assignment may be dated ahead of the clock that it is held against, the broker's or a device's:
// clocks of people differ. Past it the assignment is refused, since no other could follow it until that time has come.
inline constexpr std::int64_t kAssignmentAheadMsMax = 24 * 3'600 * 1'000;
// Milliseconds that clocks of machines that are looked after may differ: by so much a gate's first wave may open before
// its release was made, its last one and its signing be ahead of a device's clock, and a device's clock stand behind a
// signed time and still be believed. Past it a gate is refused or waits, and the clock is believed no more.
inline constexpr std::int64_t kGateClockMsMax = 10 * 60 * 1'000;
// The end of the year 9999, milliseconds since 1970: arithmetic on times below it cannot overflow.
inline constexpr std::int64_t kWallMsMax = 253'402'300'799'999;

// --- artifacts -----------------------------------------------------------------------------------
inline constexpr std::size_t kPathBytesMax = 1024;
inline constexpr std::size_t kPathComponentBytesMax = 255;  // NAME_MAX of ext4
inline constexpr std::size_t kEntriesMax = 200'000;
inline constexpr std::size_t kIndexBytesMax = 32 * 1024 * 1024;
inline constexpr std::size_t kXattrsMax = 16;
inline constexpr std::size_t kXattrBytesMax = 4096;
inline constexpr std::size_t kXattrNameBytesMax = 255;  // XATTR_NAME_MAX of Linux
// A device node's numbers: Linux has 12 and 20 bits. Past it the index is malformed.
inline constexpr std::uint32_t kDeviceMajorMax = 0xfff;
inline constexpr std::uint32_t kDeviceMinorMax = 0xfffff;
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
// Places where the code of a program for 32-bit Arm changes between A32 and Thumb, 4 bytes each on the device. A
// cryptographic library with routines in assembly has some tens. Past it the delta is malformed.
inline constexpr std::uint32_t kDeltaArmSwitchesMax = 1'024;
// Files of a delta's base that may be other than they should before the base is of no use: each takes 24 bytes on the
// device.
inline constexpr std::size_t kDeltaDamagedMax = 1'024;
// Bytes of a file that a delta makes or copies from: its places are numbers of 32 bits. Past it the delta is malformed.
inline constexpr std::uint64_t kDeltaFileBytesMax = 0xffffffff;
// Copies before a place that reference prediction looks at where they overlap in the old file; records of .eh_frame
// that it passes over in one file. Past either bytes are plain. Maker and device must agree: another number would be
// another format.
inline constexpr std::size_t kDeltaOverlapsMax = 4;
inline constexpr std::uint32_t kDeltaRecordStepsMax = 4'000'000;

// --- files of blocks in a delta, such as images with a compressed file system ------------------------
// Bytes of a block, packed or unpacked: the largest of squashfs. A device holds seven of the size that an image has.
// Past it the image is taken as any file.
inline constexpr std::uint32_t kBlockBytesMax = 1024 * 1024;
// Ways in which blocks of one file are compressed: those of contents and those of tables.
inline constexpr std::size_t kBlockSpecsMax = 4;
// Blocks of a base, and bytes between them: 16 bytes each on the device. An image of 4 GB has 32,000 of the usual size.
inline constexpr std::uint32_t kBlockStretchesMax = 256 * 1024;
// Parts of one file of blocks: files of the image, and its tables. Past it the delta is malformed.
inline constexpr std::uint32_t kBlockPartsMax = 1024 * 1024;
// Bytes that a base unpacks to: zeros that it does not have take no room in it. Past it the delta is malformed.
inline constexpr std::uint64_t kBlockUnpackedBytesMax = std::uint64_t{1} << 40;
// Bytes that a decoder of xz may take: the dictionary of the largest block, and its own state. Past it the block is
// damaged.
inline constexpr std::uint64_t kBlockXzMemoryMax = 4 * 1024 * 1024;
// Runs of its base that a part is made from: 24 bytes each on the device. The publisher cuts parts with more.
inline constexpr std::uint32_t kBlockExtentsMax = 2'048;

// --- making delta packs ----------------------------------------------------------------------------
// Bytes of memory for the files that are being compared for a delta, all threads together; a file that needs more is
// compared alone.
inline constexpr std::uint64_t kDeltaMatchBytesMax = std::uint64_t{512} * 1024 * 1024;
// Bytes of a match that a search in the old file compares. Without it a search in a file of zeros would be as slow as
// the file is long. Past it the match is measured once, after the search.
inline constexpr std::size_t kDeltaCompareBytesMax = 4096;
// Bytes of a stream that is compressed with several settings, of which the best one stays. Past it that takes longer
// than it gains: the first setting is taken.
inline constexpr std::size_t kDeltaTryBytesMax = 16 * 1024 * 1024;
// Bytes of a file that is compared with several bases: each takes seconds above that. Past it only the first one is
// tried.
inline constexpr std::uint64_t kDeltaManyBasesBytesMax = 8 * 1024 * 1024;
// Hashes in the sketch by which files that are alike are found: the smallest. Past it they are left out, and the
// likeness is a guess.
inline constexpr std::size_t kSketchValuesMax = 64;
// Base files that are like a new one and are tried for it: the most alike. Each costs a comparison.
inline constexpr std::size_t kDeltaAlikeBasesMax = 2;
// Base files that have a hash of their sketch in common. What more files than this share says nothing about them: past
// it the hash is passed over.
inline constexpr std::size_t kDeltaCommonFilesMax = 64;
// Base files that have a new file's name, whatever their folder and their digits, and are looked at for the best one.
// Past it the others are passed over.
inline constexpr std::size_t kDeltaNamesakesMax = 256;

// Bytes of an image's tables, unpacked, and files in it, that the publisher reads of an image: a hundred bytes for each
// file there may be. Past either the image is taken as any file.
inline constexpr std::size_t kImageTableBytesMax = 64 * 1024 * 1024;
inline constexpr std::size_t kImageFilesMax = 400'000;
// Bytes of content, and steps, up to which parts of an image that did not change are joined: a device that was killed
// goes on from a part. Past either the next part begins.
inline constexpr std::uint64_t kImageJoinedBytesMax = 4 * 1024 * 1024;
inline constexpr std::size_t kImageJoinedStepsMax = 256;
// Percent of an image's changed blocks, by bytes, that may come out otherwise when they are compressed again. Past it
// the image is taken as any file.
inline constexpr std::uint64_t kImageUnlikePercentMax = 25;

// --- gzip files inside a delta -------------------------------------------------------------------
// Bytes of a gzip file's header that a recipe carries: fixed part, name, comment. Past it the file is sent as it is.
inline constexpr std::size_t kGzipHeaderBytesMax = 512;
// Forced block ends in one recipe: 4 bytes each in the device. GNU gzip makes one in 30 KB of content or more.
inline constexpr std::size_t kGzipCutsMax = 1024;
// Bytes of content that the publisher unpacks to look for a recipe; it holds them in memory. Larger ones are taken as
// they are.
inline constexpr std::size_t kGzipFindBytesMax = 256 * 1024 * 1024;
// Rounds of adding one cut after the other; each one writes the file up to the first difference. A file that needs more
// of them is cut at the end of each block, which costs some bytes of recipe.
inline constexpr int kGzipRoundsMax = 8;

// --- broker --------------------------------------------------------------------------------------
inline constexpr std::size_t kDevicesMax = 200'000;
// Devices that one login (user name, or address without one) may have brought and that have never taken part in a
// rollout: whoever may log in can make some up. Past it no new ones are taken of it.
// (plugin_opt_unknown_devices_max_per_login)
inline constexpr std::size_t kUnknownDevicesPerLoginMax = 10'000;
// Days after which a silent device that has never taken part is forgotten. (plugin_opt_unknown_devices_days)
inline constexpr std::uint32_t kUnknownDeviceDays = 30;
inline constexpr std::uint32_t kUnknownDeviceDaysMax = 3'650;
// Devices that are looked at in one go for such ones, and devices that one command forgets: past it other work has its
// turn first, and a command is repeated.
inline constexpr std::size_t kForgetLooksMax = 1'000;
inline constexpr std::size_t kForgetDevicesMax = 1'000;
// Keys that were taken back, of one device and of all: past it the oldest is given up, and its key would be taken
// again.
inline constexpr std::size_t kTombstonesPerDeviceMax = 8;
inline constexpr std::size_t kTombstonesMax = 100'000;
// Devices of which it is known that their hellos were refused, because they are not enrolled: past it the one that was
// heard longest ago is given up.
inline constexpr std::size_t kRefusedDevicesMax = 100;
// Starts of a client before the last one that the broker remembers of a device: when one of them speaks again, two
// devices have one name and key.
inline constexpr std::size_t kInstancesKeptMax = 4;
// That this was seen is shown for so long, and written once in so long.
inline constexpr std::int64_t kCloneShownMs = 604'800'000;
inline constexpr std::int64_t kCloneNotedMs = 3'600'000;
inline constexpr std::size_t kRolloutsMax = 1'000;
// Attempts that a device may count beyond those that the policy and the operator's retries give it: those that its
// owner starts, and those that it counts again after its state was restored. Past it a report is not counted.
inline constexpr std::uint32_t kAttemptsBesidePolicyMax = 16;
// Rollouts of a product whose members are kept one by one; of older ones the sums are. Bounds memory and disk by the
// fleet, not by the number of releases: about 300 bytes a device and rollout in memory.
inline constexpr std::size_t kRolloutsWithMembersMax = 8;
// Reports of a device, and events of a rollout, that its history keeps: the newest.
inline constexpr std::size_t kHistoryReportsMax = 50;
inline constexpr std::size_t kHistoryEventsMax = 500;
// Stops of a container within an hour that a policy may ask for before a release is given up.
inline constexpr std::uint32_t kFallBackStopsMax = 60;
// Bytes of what devices send: a hello with all that a device may say of itself has some 15 KB, a report and a fetch
// under 4. Past it the message is refused before it is looked at.
inline constexpr std::size_t kHelloBytesMax = 20 * 1024;
inline constexpr std::size_t kReportBytesMax = 4 * 1024;
inline constexpr std::size_t kFetchBytesMax = 4 * 1024;
// Bytes of a message with a piece of an upload: the piece, and what names it.
inline constexpr std::size_t kPutBytesMax = kPutPieceBytesMax + 512;
// Bytes of messages that wait for their signatures to be checked, or are being checked, of all clients: some ten
// thousand, which two threads check in half a second. Past it who has the most waiting loses some; devices send again.
inline constexpr std::size_t kIntakeBytesMax = 8 * 1024 * 1024;
// Bytes of one client's: a hello and kReportsAtOnceMax reports as large as they may be. Past it its messages are
// refused, and sent again.
inline constexpr std::size_t kIntakeClientBytesMax = 96 * 1024;
// Clients whose rates are remembered at a time, each until it has been quiet for seconds: a whole fleet. Past it a
// client that is not among them is refused, and sends again.
inline constexpr std::size_t kIntakeClientsMax = kDevicesMax;
// Messages that the broker's threads have in hand, and their bytes: some 30 ms of work for two. Past it they wait where
// each client has its turn.
inline constexpr std::size_t kCheckingMax = 1'024;
inline constexpr std::size_t kCheckingBytesMax = 1024 * 1024;
// What one client may send at once, and microseconds until it may send one more. Past it messages are refused.
// A device says hello when it connects and when something of it changes, with kHelloPauseMsMin between.
inline constexpr std::int64_t kHelloBurstMax = 32;
inline constexpr std::int64_t kHelloIntervalUs = 1'000'000;
// It has at most kPendingReportsMax reports when it comes back, of which some are sent twice, and makes a few in an
// update.
inline constexpr std::int64_t kReportBurstMax = 512;
inline constexpr std::int64_t kReportIntervalUs = 125'000;
// It returns credit twice a window: at 250 MB/s, a thousand times a second.
inline constexpr std::int64_t kFetchBurstMax = 2'000;
inline constexpr std::int64_t kFetchIntervalUs = 1'000;
// It asks for up to kFetchRangesMax ranges of chunks at once, which cost the broker reads.
inline constexpr std::int64_t kRequestBurstMax = 256;
inline constexpr std::int64_t kRequestIntervalUs = 50'000;
// A publisher sends pieces of kPutPieceBytesMax: 256 MB/s.
inline constexpr std::int64_t kPutBurstMax = 4'096;
inline constexpr std::int64_t kPutIntervalUs = 250;
// Milliseconds between two answers to one client that something of it was not let in: answers to a flood would be one.
inline constexpr std::int64_t kIntakeTellMs = 5'000;
// Threads that check them, 60 µs each: one does some 15,000 a second.
inline constexpr std::uint32_t kVerifyThreadsMax = 64;
// Store writes not yet durable. Past it the service answers `unavailable` and devices send again.
inline constexpr std::size_t kStoreQueueMax = 65'536;
// Bytes that end a group of writes which is made durable in one go: bounds the copy that RocksDB makes of it. Past it
// the next writes wait for the next group.
inline constexpr std::size_t kStoreGroupBytesMax = 4 * 1024 * 1024;
// Elements of any list in a record of the store: far above what the bounds here let in, far below what would hurt. Past
// it a record that is read is damaged.
inline constexpr std::uint32_t kRecordListMax = 4096;
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
inline constexpr std::size_t kUploadAssemblyBytesMax = 24 * 1024 * 1024;
// Bytes of chunks given to the store and not durable yet. Past it clients are answered `unavailable`.
inline constexpr std::size_t kUploadWritingBytesMax = 16 * 1024 * 1024;
// Clients that upload at a time, one object each. Past it the next is answered `unavailable`.
inline constexpr std::size_t kUploadClientsMax = 64;
// Packs that are being uploaded at a time. Past it the one used longest ago is dropped: its client sends the directory
// again, and what is in the store stays.
inline constexpr std::size_t kUploadPacksMax = 16;
// Chunks of the packs that are removed in one go, unless one pack has more: bounds the memory for their names. Past it
// the others follow.
inline constexpr std::size_t kRemovalChunksMax = 65'536;
// Chunks that are deleted in one write, so that other writes go between. Past it the others follow.
inline constexpr std::size_t kRemovalSliceMax = 128;
// Packs that one command removes. Past it the command is to be repeated.
inline constexpr std::size_t kRemovePacksMax = 1'000;
// Milliseconds after which it is noted that a pack is still in use; and for which a pack that nothing needs must not
// have been used before it is removed without being named: between its upload and its release nothing needs it.
inline constexpr std::int64_t kPackUsedMs = 3'600'000;
// Bytes that are to be free on the store's disk (plugin_opt_disk_free_min). With less, an upload first makes room.
inline constexpr std::uint64_t kDiskFreeBytesMin = 64 * 1024 * 1024;
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
// Groups of a product, and products, that an answer to nextSequence names: those with the most devices. The others are
// left out.
inline constexpr std::size_t kKnownNamesMax = 16;
// Log lines a minute about refused messages, and about single devices: a flood of them fills no disk. Past it they are
// counted only, and a line says how many were left out.
inline constexpr std::size_t kComplaintsPerMinuteMax = 60;
// Of those, lines about one client or device: enough for its story, too few to hide the others'.
inline constexpr std::size_t kLinesPerSubjectMax = 6;
// Bytes of a file with a key, the broker's gate key or an operator's: a larger one is no key. The broker does not
// start, the operator's command fails.
inline constexpr std::size_t kKeyFileBytesMax = 4096;
// Bytes of the transfer log that wait to be written. Past it lines are lost, and counted.
inline constexpr std::size_t kTransferLogBytesMax = 1024 * 1024;
// Gates are signed anew with the time: what an idle device hears in a month, beside its keepalive.
inline constexpr std::int64_t kGateRefreshMs = 24 * 3'600 * 1'000;
// Milliseconds by which the broker's wall clock may stand before the last time that it saved, or before its root
// document. Past it the clock is in doubt.
inline constexpr std::int64_t kClockBehindMsMax = 24 * 3'600 * 1'000;
// Days by which it may stand after the later of the two: a broker that was off for a year. Past it it is in doubt. An
// option says otherwise, up to kClockAheadDaysMax.
inline constexpr std::uint32_t kClockAheadDays = 400;
inline constexpr std::uint32_t kClockAheadDaysMax = 36'500;
// Milliseconds that it may gain or lose against the monotonic clock between two looks. Past it it is in doubt, until it
// is back or kClockSettleMs have passed: time for whoever sets it to notice.
inline constexpr std::int64_t kClockJumpMsMax = 10 * 60 * 1'000;
inline constexpr std::int64_t kClockSettleMs = 3'600 * 1'000;
// A clock that is not in doubt is saved once in so many milliseconds, and for the first time when it has run for
// kClockSettleMs, if it stands over kClockBehindMsMax after what was known; one that is in doubt is logged so often.
inline constexpr std::int64_t kClockSaveMs = 3'600 * 1'000;
inline constexpr std::int64_t kClockLineMs = 3'600 * 1'000;

// --- clients: device and publisher ---------------------------------------------------------------
// Messages that the MQTT library holds while the socket is busy or QoS 1 is unanswered. Past it publish() says
// `unavailable`.
inline constexpr int kBufferedMessagesMax = 256;
// Bytes of a configuration file, and of the publisher's password file. A larger one is refused.
inline constexpr std::size_t kConfigBytesMax = 64 * 1024;

// --- device --------------------------------------------------------------------------------------
inline constexpr std::size_t kPendingReportsMax = 256;
// Reports sent in one go: the rest follows when these are acked.
inline constexpr std::size_t kReportsAtOnceMax = 16;
// A report's number. An ack beyond this was not made by any broker of ours: numbers would run out. It is passed over.
inline constexpr std::uint64_t kReportSequenceMax = std::uint64_t{1} << 62;
// Milliseconds for which a device waits for a version of the root document that it has asked for, before it says that
// the version is missing. It goes on waiting.
inline constexpr std::int64_t kRootChainWaitMs = 60'000;
inline constexpr std::size_t kFailedReleasesMax = 32;
// Gates that are kept: of as many rollouts as a device can receive at once and has in revisions, with room for those
// whose manifest has not come yet. Past it the oldest of these is forgotten.
inline constexpr std::ptrdiff_t kGatesKeptMax = 96;
// Milliseconds by which the wall clock must have moved against the monotonic one to count as set: what was judged by it
// is judged anew.
inline constexpr std::int64_t kClockStepMsMin = 60'000;
// Days of silence of the broker after which a device says so, at most.
inline constexpr std::uint32_t kSilenceDaysMax = 3'650;
// Stops of a container that are remembered: over kFallBackStopsMax, so as many as a policy asks for. Past it the oldest
// is forgotten.
inline constexpr std::size_t kStopsKeptMax = 64;
// Boots with an uncommitted revision before the device goes back: a release that makes the machine reboot must not do
// so for ever.
inline constexpr std::uint32_t kTryStartsMax = 3;
// Restarts of the client alone, within one boot, before it goes back. Containers outlive them, so each says little
// about the release; that they never end says that no verdict will come.
inline constexpr std::uint32_t kTryClientStartsMax = 64;
// Starts in a row that do not last, of a client on trial and of a committed one that came with a release. Past it the
// committed one runs, and past that the system's own: no client is started for ever.
inline constexpr std::uint32_t kClientTrialStartsMax = 3;
inline constexpr std::uint32_t kClientStartsMax = 5;
// Boots by the watchdog in a row without containers that stayed well. Past it the watchdog is fed all the same, and the
// device stays reachable.
inline constexpr std::uint32_t kWatchdogBootsMax = 3;
// Times that a finished tree may be found damaged and made good. Past it the storage is failing, and the attempt ends.
inline constexpr int kStagingRecoveriesMax = 3;

// --- device: fetching ----------------------------------------------------------------------------
// Bytes of the window while nothing is known of a link that stalls: it is halved no further.
inline constexpr std::uint32_t kFetchWindowBytesMin = 8 * 1024;
// Milliseconds that a window may take beyond the round trip, with two pieces at least: what a telemetry message may
// wait behind our bytes. Past it the window is smaller.
inline constexpr std::int64_t kFetchWindowMsMax = 2'000;
// Milliseconds without a piece before the device asks; longer where windows take longer. The link's own losses are
// TCP's to mend, and a new connection opens a new session by itself. What is left to notice is a broker that has
// dropped pieces: rare, so patience costs little, while a session given up too soon wastes all that is under way.
inline constexpr std::int64_t kFetchStallMsMin = 15'000;
// Unanswered questions after which a session is given up: a minute of silence at least.
inline constexpr std::uint32_t kFetchQuestionsMax = 3;
// Milliseconds that chunks may be with the stager, neither durable nor refused. Past it they are asked for again.
inline constexpr std::int64_t kHandedMsMax = 60'000;
// Refusals of one chunk by the stager: this many end the attempt.
inline constexpr std::uint32_t kChunkRefusalsMax = 2;

// --- device: pauses and tries --------------------------------------------------------------------
// Milliseconds between two tries at one thing. The first pause is the least; each one after it is twice as long, up to
// the most: sooner would load a device, link or broker that has trouble already, later would leave it down for longer.
// Reports that no ack came for are sent again:
inline constexpr std::int64_t kReportResendMsMin = 10'000;
inline constexpr std::int64_t kReportResendMsMax = 300'000;
// … and up to a quarter later, in thousandths, the same for one device each time: a fleet does not resend in step.
inline constexpr std::int64_t kReportJitterPermilleMax = 250;
// A start of what should run:
inline constexpr std::int64_t kStartPauseMsMin = 1'000;
inline constexpr std::int64_t kStartPauseMsMax = 300'000;
// A fetch after the broker could not serve a chunk:
inline constexpr std::int64_t kFetchPauseMsMin = 2'000;
inline constexpr std::int64_t kFetchPauseMsMax = 300'000;
// A switch back to the committed revision that failed:
inline constexpr std::int64_t kSwitchBackPauseMsMin = 5'000;
inline constexpr std::int64_t kSwitchBackPauseMsMax = 300'000;
// Such failures before the device goes to the factory revision: some two and a half minutes after the first.
inline constexpr std::uint32_t kSwitchBackFailuresMax = 6;
// Milliseconds between hellos out of turn: one that is due sooner is not sent.
inline constexpr std::int64_t kHelloPauseMsMin = 5'000;
// Starts by which a device goes on at once when the broker knows a later one of it. Past it it says so and stays.
inline constexpr std::uint32_t kBootJumpMax = 1'000'000;
// So often within an hour, and another device has its name and key.
inline constexpr std::size_t kClashesMax = 3;
// Milliseconds between two probes of a container, whatever the manifest says: probes must not take up the device.
inline constexpr std::uint32_t kProbeIntervalMsMin = 100;

// --- device: what a release may ask of LXC by itself ----------------------------------------------
// Terminals and pseudo-terminals of a container. The host has a few thousand for all. Past it the release is refused.
inline constexpr std::uint64_t kTtysMax = 8;
inline constexpr std::uint64_t kPtysMax = 64;
// Bytes of LXC's console buffer, which is memory of the monitor, outside of the container: what LXC itself takes. Past
// it the release is refused.
inline constexpr std::uint64_t kConsoleBytesMax = 128 * 1024;
// A cgroup's weight for processor and disks: the kernel's own default, so that no container gets more than others by
// asking. Past it the release is refused.
inline constexpr std::uint64_t kWeightMax = 100;
// The same for the processor in cgroup v1.
inline constexpr std::uint64_t kCpuSharesMax = 1024;

// --- device: what a container gets, and how it ends -----------------------------------------------
// Bytes of /dev/shm, and of /tmp, in each container: this part of the machine's memory, and never less than the second.
// Past it the container gets "no space" there.
inline constexpr std::uint64_t kTmpfsShare = 8;
inline constexpr std::uint64_t kTmpfsBytesMin = 1024 * 1024;
// Bytes of one file or folder there, at least: so many of them as fit into the size. Each costs the kernel memory.
inline constexpr std::uint64_t kTmpfsFileBytes = 4096;
// Bytes of the host's hosts and resolv.conf. A larger one is not given to containers.
inline constexpr std::size_t kHostNamesBytesMax = 64 * 1024;
// Milliseconds between two looks at the host's resolv.conf, where containers have a network.
inline constexpr std::int64_t kResolverLookMs = 60'000;
// Milliseconds from the start of a container for which its first program may be on its way to its signal handlers. Past
// it a program without one is killed instead of being waited for.
inline constexpr std::uint32_t kFirstProgramStartMs = 2'000;
// Milliseconds that such a program has to end by itself, when all others of the container have ended.
inline constexpr std::int64_t kEndAloneMs = 1'000;

// --- device: files and programs ------------------------------------------------------------------
// Bytes of the device's state: over the largest that these bounds allow, with 256 reports, three manifests, a root
// document. A larger one is refused as too large.
inline constexpr std::size_t kStateBytesMax = 4 * 1024 * 1024;
// Bytes of the state's file, and of the factory's, that are read to find out. A larger file is not read.
inline constexpr std::size_t kStateFileBytesMax = 16 * 1024 * 1024;
// Bytes of the anchor's file: a root document and an assignment. A larger one is refused as too large.
inline constexpr std::size_t kAnchorBytesMax = 2 * kMessageBytesMax + 1024;
// Bytes of the file with the device's key, and of its password file. A larger one is refused.
inline constexpr std::size_t kSecretFileBytesMax = 4096;
// Bytes of the file with the owner's word. A larger one is refused.
inline constexpr std::size_t kOwnerFileBytesMax = 4096;
// A file that is replaced in place, with a spare beside it (files/spared_file.hpp), has its size in steps of so many
// bytes: room for its content to grow while the disk is full. Content that outgrows it asks the disk for more.
inline constexpr std::uint64_t kSparedFileBytesStep = 16 * 1024;
// The device's reserve (files/reserve.hpp): a share of the disk within bounds in bytes, in so many files, and so many
// empty ones. Past it nothing more is left to the client on a full disk.
inline constexpr std::uint64_t kReserveShare = 64;
inline constexpr std::uint64_t kReserveBytesMin = 512 * 1024;
inline constexpr std::uint64_t kReserveBytesMax = 4 * 1024 * 1024;
inline constexpr std::size_t kReserveFiles = 32;
inline constexpr std::size_t kReserveInodes = 96;
// With less than this free, bytes or files, a device is degraded for want of space; it is so no more with four times as
// much free and a reserve that is whole.
inline constexpr std::uint64_t kShortBytes = 256 * 1024;
inline constexpr std::uint64_t kShortInodes = 64;
// Bytes and files that a container may write into its layer: the largest bound that a configuration may set.
inline constexpr std::uint32_t kLayerMibMax = 1024 * 1024;
inline constexpr std::uint32_t kLayerFilesMax = 100'000'000;
// Entries of a container's layer that are looked at to know its size. Past it the layer counts as that large.
inline constexpr std::uint32_t kLayerEntriesMax = 50'000;
// Between two times that the layer of a container is cleared: one that fills the disk at once again is left alone
// meanwhile.
inline constexpr std::int64_t kLayerClearPauseMs = 600'000;
// Bytes of a file that the client leaves for the start of a container, which are read to see whether it is the same
// again. A larger one is written again.
inline constexpr std::size_t kSwitchFileBytesMax = 256 * 1024;
// Bytes that a program (instar-lxc, a handler, a probe) prints, about. Past it no more is kept.
inline constexpr std::size_t kProgramOutputBytesMax = 256 * 1024;
// Bytes of a program's last line that are kept: a log line's worth. instar-lxc itself keeps fewer of what runs inside a
// container.
inline constexpr std::size_t kProgramLineBytesMax = 400;
inline constexpr std::size_t kInsideLineBytesMax = 300;
// Levels of a JSON document: what is written by hand has five. Past it the document is refused, because code that walks
// through it goes down level by level.
inline constexpr std::size_t kJsonDepthMax = 64;
// Bytes of one JSON object that a program prints, or that a small file of the client holds. A longer one is refused.
inline constexpr std::size_t kJsonLineBytesMax = 64 * 1024;
// Tries to get a loop device for an image: everybody on the machine asks for the same free one, and somebody else may
// be faster. Past it the mount fails.
inline constexpr int kLoopTriesMax = 100;
// Tries to set the loop device up: old kernels ask to try again while they still write to it. Past it the mount fails.
inline constexpr int kLoopSetupTriesMax = 64;

// --- publisher -----------------------------------------------------------------------------------
// Seconds of a policy's stale_after: the broker signs gates anew each day (kGateRefreshMs), and may be away for another
// one. With less, devices would wait for ever: the release is not made.
inline constexpr std::uint32_t kStaleAfterSMin = 2 * 24 * 3'600;
// Bytes of a release file, and of an artifact's artifact.json: far above what people write. A larger one is refused.
inline constexpr std::size_t kReleaseFileBytesMax = 1024 * 1024;
inline constexpr std::size_t kArtifactFileBytesMax = 1024 * 1024;
// Bytes that artifact.json may say a fetch from one base takes: sums of them cannot overflow. Past it the file is
// malformed.
inline constexpr std::uint64_t kWeightBytesMax = std::uint64_t{1} << 40;
// Bases that artifact.json has such numbers for. Past it the file is malformed.
inline constexpr std::size_t kWeightBasesMax = 1000;
// Names in a folder that are looked at for artifacts, in the order of the alphabet. Past it the others are passed over.
inline constexpr std::size_t kArtifactFoldersMax = 10'000;
// Artifacts of the fleet that the broker is asked for when bases for deltas are chosen. Past it the others are not
// known.
inline constexpr std::size_t kFleetArtifactsMax = 1000;
// Messages of the broker that came before the one that is awaited. Past it they are lost.
inline constexpr std::size_t kWaitingEventsMax = 4096;
// Bytes of the page that `instar dashboard` serves. A larger file is refused.
inline constexpr std::size_t kPageBytesMax = 8 * 1024 * 1024;
// Pages that it connects to the broker at a time; a page reconnects by itself. Past it a page's connection is ended.
inline constexpr std::size_t kPageChannelsMax = 16;
// Its sockets: two for each of those, and the browser's for the page itself. Past it a connection is not accepted.
inline constexpr unsigned kPageConnectionsMax = 128;
// Bytes on their way to one side of such a connection. Past it the other side is not read.
inline constexpr std::size_t kPageWaitingBytesMax = 64 * 1024;
// Encoded bytes sent and not yet durable: four of the largest chunks. Bounds what the broker holds in memory for an
// upload, and what is sent again after a lost connection. Past it the upload waits for the broker.
inline constexpr std::size_t kUploadInFlightBytesMax = 4 * kChunkEncodedBytesMax;
// Chunks, likewise. The broker answers once a tick (0.1 s when idle): with small chunks it is their number that fills
// the time between.
inline constexpr std::size_t kUploadInFlightChunksMax = 64;
// Silences of the broker in a row before an upload is given up.
inline constexpr std::uint32_t kUploadSilencesMax = 3;
// Archives and container images that are packed (publisher/archive/). Bytes that all layers of an image, or one
// archive, have unpacked: four times the content of an artifact, since later layers replace what earlier ones have.
// Past it the archive is refused: a few kilobytes can be made to unpack to anything.
inline constexpr std::uint64_t kArchiveBytesMax = 4 * kContentBytesMax;
// Entries in all layers of an image, or in one archive, likewise. Past it the archive is refused.
inline constexpr std::size_t kArchiveEntriesMax = 4 * kEntriesMax;
// Bytes of the files that an archive of an image consists of, layers as they are compressed. Past it it is refused.
inline constexpr std::uint64_t kArchiveFilesBytesMax = kArchiveBytesMax;
// Files that an archive of an image, or its folder, consists of. Past it it is refused.
inline constexpr std::size_t kArchiveFilesMax = 10'000;
// Compressions around each other, such as tar.gz.xz: one is usual. Past it the archive is refused.
inline constexpr int kArchiveFiltersMax = 3;
// Bytes of a JSON document of an image: what registries take. Past it the image is refused.
inline constexpr std::size_t kImageDocumentBytesMax = 4 * 1024 * 1024;
// Indexes of images inside each other: two are usual. Past it the image is refused.
inline constexpr std::size_t kImageIndexDepthMax = 4;
// Images in one archive, all platforms counted. Past it it is refused.
inline constexpr std::size_t kImagesMax = 1000;
// Layers of an image; Docker makes 127 at most. Past it the image is refused.
inline constexpr std::size_t kImageLayersMax = 512;
// Labels that are kept of an image, in artifact.json. Past it the others are left out, and named.
inline constexpr std::size_t kImageLabelsMax = 64;
// Remarks on an image that are kept in artifact.json. Past it the others are left out.
inline constexpr std::size_t kImageRemarksMax = 64;
// Symbolic links that are followed on one path of a tree: Linux's own bound (path_resolution(7)). Past it the path
// leads to nothing.
inline constexpr std::size_t kLinksFollowedMax = 40;
// Scripts that are each other's interpreters: Linux's own bound (exec_binprm). Past it nothing starts.
inline constexpr unsigned kScriptNestingMax = 5;
// Bytes of a script's first line that Linux reads since 5.1, and before. A longer one is refused, or noted.
inline constexpr std::size_t kScriptLineBytesMax = 255;
inline constexpr std::size_t kScriptLineBytesOld = 127;
// Bytes of an ELF file's program headers: Linux's own bound. Past it the program does not start.
inline constexpr std::size_t kElfHeadersBytesMax = 64 * 1024;
// Bytes of its dynamic section, far above what linkers make, and of a name in it. Past it the file counts as damaged.
inline constexpr std::size_t kElfDynamicBytesMax = 256 * 1024;
inline constexpr std::size_t kElfTextBytesMax = 4096;
// Libraries of one program. Past it the others are not looked for.
inline constexpr std::size_t kElfLibrariesMax = 1024;
// Bytes of a tree's /etc/ld.so.cache. A larger one is passed over.
inline constexpr std::size_t kLoaderCacheBytesMax = 8 * 1024 * 1024;
// Devices of a group whose machine is compared with a release's programs. The others are passed over.
inline constexpr std::size_t kMachinesComparedMax = 1000;

}  // namespace instar::limits

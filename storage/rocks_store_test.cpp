// What only the store on disk promises: it survives kill -9, has one owner, and checks its schema version.
#include "storage/rocks_store.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "storage/key_layout.hpp"
#include "storage/testing/scratch_folder.hpp"

namespace instar::storage {
namespace {

void commit_and_wait(Store& store, Batch batch) {
  bool done = false;
  store.commit(std::move(batch), [&](Status status) {
    EXPECT_TRUE(status.has_value());
    done = true;
  });
  while (!done) {
    if (store.poll() == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

std::optional<Bytes> get(Store& store, Column column, std::string key) {
  std::optional<Bytes> out;
  bool done = false;
  store.read(column, std::move(key), [&](Result<std::optional<Bytes>> value) {
    EXPECT_TRUE(value.has_value());
    if (value.has_value()) out = *value;
    done = true;
  });
  while (!done) {
    if (store.poll() == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return out;
}

std::unique_ptr<Store> must_open(const std::string& path) {
  auto store = RocksStore::open(path);
  EXPECT_TRUE(store.has_value()) << store.error().message;
  return store.has_value() ? std::move(*store) : nullptr;
}

TEST(RocksStore, KeepsEverythingOverACleanClose) {
  ScratchFolder folder;
  const auto path = folder.path() + "/s";
  {
    auto store = must_open(path);
    // The test does not wait: the destructor finishes the commits.
    for (int i = 0; i < 500; ++i) store->commit({{Column::members, std::to_string(i), Bytes(100, 7)}}, {});
  }
  auto store = must_open(path);
  std::size_t seen = 0;
  ASSERT_TRUE(store->scan(Column::members, "", [&](ByteView, ByteView) { return ++seen > 0; }).has_value());
  EXPECT_EQ(seen, 500U);
}

TEST(RocksStore, WritesItsSchemaVersion) {
  ScratchFolder folder;
  auto store = must_open(folder.path() + "/s");
  EXPECT_EQ(get(*store, Column::meta, std::string(kSchemaKey)), schema_value(kSchemaVersion));
}

void expect_refused(std::uint32_t schema, const std::string& by) {
  ScratchFolder folder;
  const auto path = folder.path() + "/s";
  {
    auto store = must_open(path);
    commit_and_wait(*store, {{Column::meta, std::string(kSchemaKey), schema_value(schema)}});
  }
  for (int i = 0; i < 2; ++i) {
    const auto refused = RocksStore::open(path);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::unsupported);
    EXPECT_NE(refused.error().message.find(by + " (schema " + std::to_string(schema)), std::string::npos)
        << refused.error().message;
    EXPECT_NE(refused.error().message.find(path), std::string::npos);
  }
}

TEST(RocksStore, RefusesAnotherSchemaAndChangesNothing) {
  expect_refused(kSchemaVersion + 1, "a newer version");
  expect_refused(kSchemaVersion - 1, "a version from before the first release");
}

TEST(RocksStore, RefusesAnUnreadableSchema) {
  ScratchFolder folder;
  const auto path = folder.path() + "/s";
  {
    auto store = must_open(path);
    commit_and_wait(*store, {{Column::meta, std::string(kSchemaKey), Bytes{1}}});
  }
  const auto refused = RocksStore::open(path);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::corrupt);
}

TEST(RocksStore, APathHasOneOwnerAtATime) {
  ScratchFolder folder;
  const auto path = folder.path() + "/s";
  auto store = must_open(path);
  const auto second = RocksStore::open(path);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::unavailable);
  EXPECT_NE(second.error().message.find("open already"), std::string::npos) << second.error().message;
  store.reset();
  EXPECT_TRUE(RocksStore::open(path).has_value());
}

TEST(RocksStore, SaysWhichFolderCannotBeMade) {
  const auto refused = RocksStore::open("/proc/instar-cannot-be-here/s");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::io);
  EXPECT_NE(refused.error().message.find("/proc/instar-cannot-be-here"), std::string::npos);
}

TEST(RocksStore, BoundsTheReadsThatWait) {
  ScratchFolder folder;
  RocksOptions options;
  options.reads_max = 2;
  auto store = *RocksStore::open(folder.path() + "/s", options);
  int answered = 0;
  int refused = 0;
  for (int i = 0; i < 10; ++i) {
    store->read(Column::meta, "k", [&](Result<std::optional<Bytes>> value) {
      ++answered;
      if (!value.has_value() && value.error().code == Code::unavailable) ++refused;
    });
  }
  while (answered < 10) {
    if (store->poll() == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  EXPECT_EQ(refused, 8);
}

std::uint64_t blob_bytes(const std::string& path) {
  std::uint64_t bytes = 0;
  std::error_code gone;  // a file may go while they are looked at
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() != ".blob") continue;
    const auto size = entry.file_size(gone);
    bytes += gone ? 0 : size;
  }
  return bytes;
}

TEST(RocksStore, GivesTheRoomOfDeletedChunksBack) {
  ScratchFolder folder;
  const auto path = folder.path() + "/s";
  constexpr std::size_t kChunks = 40;
  constexpr std::size_t kBytes = 200'000;
  {
    auto store = must_open(path);
    for (std::uint8_t i = 0; i < kChunks; ++i)
      commit_and_wait(*store, {{Column::chunks, std::string(1, static_cast<char>(i)), Bytes(kBytes, i)}});
  }
  // An open moves what only the log has into blob files.
  auto store = must_open(path);
  const auto before = blob_bytes(path);
  EXPECT_GE(before, kChunks * kBytes);
  Batch batch;
  for (std::uint8_t i = 0; i < kChunks; ++i)
    batch.push_back({Column::chunks, std::string(1, static_cast<char>(i)), std::nullopt});
  commit_and_wait(*store, std::move(batch));
  store->reclaim();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(300);
  while (blob_bytes(path) > before / 4 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_LE(blob_bytes(path), before / 4);
  // It goes on working meanwhile, and an end in the middle of it waits for little.
  commit_and_wait(*store, {{Column::chunks, "new", Bytes(kBytes, 9)}});
  store->reclaim();
  EXPECT_EQ(get(*store, Column::chunks, "new"), Bytes(kBytes, 9));
}

TEST(RocksStore, KeepsChunksInBlobFilesAndFindsThemAgain) {
  ScratchFolder folder;
  const auto path = folder.path() + "/s";
  {
    auto store = must_open(path);
    for (std::uint8_t i = 0; i < 40; ++i)
      commit_and_wait(*store, {{Column::chunks, std::string(1, static_cast<char>(i)), Bytes(200'000, i)}});
  }
  // A flush runs in the background and a close does not wait for it. An open moves what only the log has into blob
  // files.
  auto store = must_open(path);
  std::size_t blob_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    blob_files += entry.path().extension() == ".blob" ? 1 : 0;
  EXPECT_GE(blob_files, 1U);
  for (std::uint8_t i = 0; i < 40; ++i)
    EXPECT_EQ(get(*store, Column::chunks, std::string(1, static_cast<char>(i))), Bytes(200'000, i));
}

// The child commits one key after the other and writes a byte to the pipe for each that was acknowledged.
[[noreturn]] void commit_until_killed(const std::string& path, int pipe_out) {
  auto store = RocksStore::open(path);
  if (!store.has_value()) ::_exit(1);
  for (std::uint32_t i = 0;; ++i) {
    bool done = false;
    Batch batch{{Column::members, "m" + std::to_string(i), Bytes(300, 1)},
                {Column::chunks, "c" + std::to_string(i), Bytes(9'000, 2)}};
    (*store)->commit(std::move(batch), [&](Status status) { done = status.has_value(); });
    while (!done) (*store)->poll();
    const char byte = 1;
    if (::write(pipe_out, &byte, 1) != 1) ::_exit(2);
  }
}

TEST(RocksStore, EveryAcknowledgedWriteSurvivesSigkill) {
  ScratchFolder folder;
  const auto path = folder.path() + "/s";
  for (int round = 0; round < 5; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      commit_until_killed(path, ends[1]);
    }
    ::close(ends[1]);
    std::uint32_t acknowledged = 0;
    char byte = 0;
    const std::uint32_t wanted = 20 + 37 * static_cast<std::uint32_t>(round);
    while (acknowledged < wanted && ::read(ends[0], &byte, 1) == 1) ++acknowledged;
    ASSERT_EQ(acknowledged, wanted);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    while (::read(ends[0], &byte, 1) == 1) ++acknowledged;
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    ::close(ends[0]);

    auto store = must_open(path);
    for (std::uint32_t i = 0; i < acknowledged; ++i) {
      ASSERT_EQ(get(*store, Column::members, "m" + std::to_string(i)), Bytes(300, 1)) << i << " of " << acknowledged;
      ASSERT_EQ(get(*store, Column::chunks, "c" + std::to_string(i)), Bytes(9'000, 2)) << i << " of " << acknowledged;
    }
  }
}

Status commit_status(Store& store, Batch batch) {
  std::optional<Status> result;
  store.commit(std::move(batch), [&](Status status) { result = std::move(status); });
  while (!result.has_value()) {
    if (store.poll() == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return *result;
}

// The disk refuses writes, then takes them again. A bound on the file size has the effect of a full disk. It applies to
// a whole process, so the test runs in a child.
int fail_and_recover(const std::string& path) {
  auto opened = RocksStore::open(path);
  if (!opened.has_value()) return 1;
  auto& store = **opened;
  if (!commit_status(store, {{Column::meta, "before", Bytes{1}}}).has_value()) return 2;
  const rlimit small{64 * 1024, RLIM_INFINITY};
  ::signal(SIGXFSZ, SIG_IGN);
  if (::setrlimit(RLIMIT_FSIZE, &small) != 0) return 3;
  if (commit_status(store, {{Column::meta, "refused", Bytes(200'000, 1)}}).has_value()) return 4;
  if (commit_status(store, {{Column::meta, "after", Bytes{1}}}).has_value()) return 5;
  if (get(store, Column::meta, "refused").has_value()) return 6;
  const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_FSIZE, &all) != 0) return 7;
  if (!store.reopen().has_value()) return 8;
  if (get(store, Column::meta, "refused").has_value() || get(store, Column::meta, "after").has_value()) return 9;
  if (!commit_status(store, {{Column::meta, "again", Bytes{1}}}).has_value()) return 10;
  opened->reset();
  auto again = RocksStore::open(path);
  if (!again.has_value()) return 11;
  const bool right =
      get(**again, Column::meta, "before").has_value() && get(**again, Column::meta, "again").has_value() &&
      !get(**again, Column::meta, "refused").has_value() && !get(**again, Column::meta, "after").has_value();
  return right ? 0 : 12;
}

TEST(RocksStore, RefusesEverythingAfterAFailedWriteUntilReopened) {
  ScratchFolder folder;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(fail_and_recover(folder.path() + "/s"));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace instar::storage

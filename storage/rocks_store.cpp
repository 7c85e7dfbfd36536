#include "storage/rocks_store.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <deque>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::storage {
namespace {

// The keys of `chunks` once more, without values, so that contains() reads no blobs. They are written in the same batch
// as the chunks.
constexpr const char* kChunkKeysName = "chunk_keys";
// After a group of so many commits the writer pauses, so that the next group gets larger. Each group costs a sync of
// the disk and a wake-up of the owner, whatever its size.
constexpr std::size_t kBusyCommits = 32;
constexpr std::chrono::milliseconds kBusyPause{8};

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

rocksdb::Slice slice(ByteView bytes) {
  return slice(as_text(bytes));
}

ByteView view(const rocksdb::Slice& bytes) {
  return as_bytes(std::string_view(bytes.data(), bytes.size()));
}

Error to_error(const rocksdb::Status& status, std::string_view doing) {
  const auto code = status.IsCorruption() ? Code::corrupt : status.IsNoSpace() ? Code::no_space : Code::io;
  return with_context(Error{code, status.ToString()}, doing);
}

// RocksDB's own LOG file is switched off. What matters comes back as a Status, a small flash has less to write, and in
// Debian's build (with asserts) the writer of that file aborts the process at its second write to a full disk.
class SilentLogger final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

// An open RocksDB with its columns; closed by the destructor.
struct Database {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;  // one for each Column, then chunk_keys, then RocksDB's default

  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const std::string& path, const RocksOptions& options);
  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() {
    if (db == nullptr) return;
    for (auto* handle : handles) static_cast<void>(db->DestroyColumnFamilyHandle(handle));
    static_cast<void>(db->Close());
  }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* at(Column column) const {
    return handles[static_cast<std::size_t>(column)];
  }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* chunk_keys() const { return handles[kColumnCount]; }
};

// Flushes and compactions let the broker's thread go first, because what they write is already durable in the log.
// This is for the whole process.
void lower_background_priority() {
  for (const auto pool : {rocksdb::Env::Priority::HIGH, rocksdb::Env::Priority::LOW}) {
    static_cast<void>(rocksdb::Env::Default()->LowerThreadPoolCPUPriority(pool, rocksdb::CpuPriority::kLow));
  }
}

rocksdb::DBOptions db_options(const RocksOptions& options) {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.db_write_buffer_size = options.write_buffer_bytes;
  db.max_total_wal_size = options.log_bytes_max;
  db.max_open_files = options.open_files_max;
  db.max_background_jobs = 2;
  db.info_log = std::make_shared<SilentLogger>();
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.bytes_per_sync = 1024 * 1024;
  return db;
}

// Records of devices resemble each other, and so do reports, so they compress well. Chunks are compressed already. A
// RocksDB that was built without LZ4 stores everything uncompressed.
rocksdb::CompressionType compression(bool blobs) {
  const auto supported = rocksdb::GetSupportedCompressions();
  const bool has_lz4 = std::ranges::find(supported, rocksdb::kLZ4Compression) != supported.end();
  return has_lz4 && !blobs ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
}

rocksdb::ColumnFamilyOptions column_options(const RocksOptions& options, const std::shared_ptr<rocksdb::Cache>& cache,
                                            bool blobs) {
  rocksdb::ColumnFamilyOptions column;
  column.write_buffer_size = blobs ? options.write_buffer_bytes / 2 : options.write_buffer_bytes / 8;
  column.max_write_buffer_number = 2;
  column.compression = compression(blobs);
  column.target_file_size_base = 4 * 1024 * 1024;
  column.max_bytes_for_level_base = 16 * 1024 * 1024;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  column.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  if (blobs) {
    column.enable_blob_files = true;
    column.min_blob_size = options.blob_bytes_min;
    column.blob_file_size = options.blob_file_bytes;
    column.enable_blob_garbage_collection = true;
    column.blob_cache = cache;
  }
  return column;
}

std::vector<rocksdb::ColumnFamilyDescriptor> descriptors(const RocksOptions& options) {
  const auto cache = rocksdb::NewLRUCache(options.cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> out;
  for (std::size_t i = 0; i < kColumnCount; ++i) {
    const bool blobs = static_cast<Column>(i) == Column::chunks;
    out.emplace_back(std::string(kColumnNames[i]), column_options(options, cache, blobs));
  }
  out.emplace_back(kChunkKeysName, column_options(options, cache, false));
  out.emplace_back(rocksdb::kDefaultColumnFamilyName, column_options(options, cache, false));
  return out;
}

Status check_schema(const std::optional<std::uint32_t>& version, const std::string& path) {
  if (!version.has_value()) return fail(Code::corrupt, "the store at " + path + " has an unreadable schema version");
  if (*version == kSchemaVersion) return {};
  const std::string what = "the store at " + path + " was written by ";
  const std::string schemas =
      " (schema " + std::to_string(*version) + ", this one reads " + std::to_string(kSchemaVersion) + "): ";
  if (*version > kSchemaVersion)
    return fail(Code::unsupported,
                what + "a newer version" + schemas + "install that version again, or start with an empty folder");
  return fail(Code::unsupported,
              what + "a version from before the first release" + schemas +
                  "start with an empty folder; devices say hello again, releases are published again");
}

// The schema version of the store that is there, read before anything is written. nullopt: there is no store.
Result<std::optional<std::uint32_t>> peek_schema(const std::string& path) {
  std::vector<std::string> names;
  // This fails when there is no database. A broken one fails later, when it is opened.
  if (!rocksdb::DB::ListColumnFamilies({}, path, &names).ok()) return std::optional<std::uint32_t>();
  const std::string meta(column_name(Column::meta));
  if (std::find(names.begin(), names.end(), meta) == names.end()) return std::optional<std::uint32_t>();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  rocksdb::Options quiet;
  quiet.info_log = std::make_shared<SilentLogger>();
  const auto opened =
      rocksdb::DB::OpenForReadOnly(quiet, path, {{rocksdb::kDefaultColumnFamilyName, {}}, {meta, {}}}, &handles, &raw);
  if (!opened.ok()) return fail(to_error(opened, "opening the store at " + path));
  const std::unique_ptr<rocksdb::DB> db(raw);
  std::string value;
  const auto status = db->Get({}, handles[1], slice(kSchemaKey), &value);
  for (auto* handle : handles) static_cast<void>(db->DestroyColumnFamilyHandle(handle));
  if (status.IsNotFound()) return std::optional<std::uint32_t>();
  if (!status.ok()) return fail(to_error(status, "reading the schema version of " + path));
  const auto version = parse_schema_value(as_bytes(value));
  INSTAR_CHECK(check_schema(version, path));
  return version;
}

Error open_error(const rocksdb::Status& status, const std::string& path) {
  const auto text = status.ToString();
  const bool locked =
      status.IsIOError() && text.find("lock") != std::string::npos && text.find("LOCK") != std::string::npos;
  if (locked) {
    return {
        Code::unavailable,
        "the store at " + path + " is open already, here or in another process: one broker, one store (" + text + ")"};
  }
  return to_error(status, "opening the store at " + path);
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, const RocksOptions& options) {
  INSTAR_TRY(const auto version, peek_schema(path));
  auto out = std::make_unique<Database>();
  rocksdb::DB* raw = nullptr;
  lower_background_priority();
  const auto opened = rocksdb::DB::Open(db_options(options), path, descriptors(options), &out->handles, &raw);
  if (!opened.ok()) return fail(open_error(opened, path));
  out->db.reset(raw);
  INSTAR_ASSERT(out->handles.size() == kColumnCount + 2);
  if (!version.has_value()) {
    rocksdb::WriteOptions sync;
    sync.sync = true;
    const auto written =
        out->db->Put(sync, out->at(Column::meta), slice(kSchemaKey), slice(schema_value(kSchemaVersion)));
    if (!written.ok()) return fail(to_error(written, "writing the schema version of " + path));
  }
  return out;
}

// --- the store ----------------------------------------------------------------------------------------

Error closed_error() {
  return {Code::unavailable, "the store could not be opened again after a failed write"};
}

struct PendingCommit {
  Batch batch;
  Store::CommitDone done;
};

struct PendingRead {
  Column column = Column::meta;
  std::vector<std::string> keys;
  Store::ReadDone read_done;  // only one of the two is set
  Store::ContainsDone contains_done;
};

struct DoneRead {
  PendingRead asked;
  Result<std::optional<Bytes>> value;
  Result<std::vector<bool>> found;
};

class OpenRocksStore final : public Store {
 public:
  OpenRocksStore(std::string path, std::unique_ptr<Database> database, RocksOptions options)
      : path_(std::move(path)), options_(options), database_(std::move(database)) {
    writer_ = std::thread([this] { write_loop(); });
    reader_ = std::thread([this] { read_loop(); });
    reclaimer_ = std::thread([this] { reclaim_loop(); });
  }
  ~OpenRocksStore() override;
  OpenRocksStore(const OpenRocksStore&) = delete;
  OpenRocksStore& operator=(const OpenRocksStore&) = delete;

  void commit(Batch batch, CommitDone done) override;
  void flush() override { hand_over(); }
  void read(Column column, std::string key, ReadDone done) override;
  void contains(Column column, std::vector<std::string> keys, ContainsDone done) override;
  [[nodiscard]] Status scan(Column column, std::string_view prefix, const Visitor& visit) override;
  std::size_t poll() override;
  [[nodiscard]] std::size_t pending_commits() const noexcept override { return outstanding_commits_; }
  void reclaim() override;
  void on_ready(std::function<void()> wake) override {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
  }
  [[nodiscard]] Status reopen() override;

 private:
  void hand_over();
  void write_loop();
  void read_loop();
  void reclaim_loop();
  [[nodiscard]] Status write_group(const std::vector<PendingCommit>& group);
  void add_to(rocksdb::WriteBatch& out, const Batch& batch) const;
  void enqueue(PendingRead pending);
  [[nodiscard]] Result<std::optional<Bytes>> get(Column column, const std::string& key);
  [[nodiscard]] Result<std::vector<bool>> find(Column column, const std::vector<std::string>& keys);

  const std::string path_;
  const RocksOptions options_;
  // Null only after a reopen() that failed. Only reopen() changes it, on the owner's thread, while nothing is being
  // written, and under reading_ and reclaiming_, which the reader and the reclaimer hold while they use it.
  std::unique_ptr<Database> database_;
  std::mutex reading_;
  std::mutex reclaiming_;
  std::atomic<bool> reclaim_canceled_ = false;

  // Only the owner's thread uses these.
  std::size_t outstanding_commits_ = 0;
  std::size_t outstanding_reads_ = 0;
  std::deque<PendingCommit> given_;  // not yet passed to the writer
  std::deque<DoneRead> refused_reads_;

  std::mutex mutex_;
  std::condition_variable write_asked_;
  std::condition_variable write_idle_;
  std::condition_variable read_asked_;
  std::condition_variable reclaim_asked_;
  std::function<void()> wake_;
  bool stopping_ = false;
  bool writing_ = false;
  bool scanning_ = false;
  bool failed_ = false;
  bool has_deleted_ = false;  // and its room is to be given back
  std::deque<PendingCommit> commits_;
  std::deque<std::pair<CommitDone, Status>> commits_done_;
  std::deque<PendingRead> reads_;
  std::deque<DoneRead> reads_done_;

  std::thread writer_;
  std::thread reader_;
  std::thread reclaimer_;
};

OpenRocksStore::~OpenRocksStore() {
  hand_over();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    reads_.clear();
  }
  reclaim_canceled_ = true;
  write_asked_.notify_all();
  read_asked_.notify_all();
  reclaim_asked_.notify_all();
  writer_.join();
  reader_.join();
  reclaimer_.join();
}

void OpenRocksStore::commit(Batch batch, CommitDone done) {
  ++outstanding_commits_;
  given_.push_back({std::move(batch), std::move(done)});
}

// Passes the owner's commits since its last poll() to the writer: one lock and at most one wake-up for many commits.
void OpenRocksStore::hand_over() {
  if (given_.empty()) return;
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = commits_.empty();
    // The service stops long before this bound. Past it memory could run out, so commits fail as on a broken disk.
    if (commits_.size() + given_.size() > 2 * limits::kStoreQueueMax) failed_ = true;
    std::ranges::move(given_, std::back_inserter(commits_));
  }
  given_.clear();
  if (was_empty) write_asked_.notify_one();
}

void OpenRocksStore::read(Column column, std::string key, ReadDone done) {
  PendingRead pending;
  pending.column = column;
  pending.keys.push_back(std::move(key));
  pending.read_done = std::move(done);
  enqueue(std::move(pending));
}

void OpenRocksStore::contains(Column column, std::vector<std::string> keys, ContainsDone done) {
  PendingRead pending;
  pending.column = column;
  pending.keys = std::move(keys);
  pending.contains_done = std::move(done);
  enqueue(std::move(pending));
}

void OpenRocksStore::enqueue(PendingRead pending) {
  if (outstanding_reads_ >= options_.reads_max) {
    const Error error{Code::unavailable, "too many reads are waiting for the store: ask again later"};
    refused_reads_.push_back({std::move(pending), fail(error), fail(error)});
    return;
  }
  ++outstanding_reads_;
  {
    const std::lock_guard lock(mutex_);
    reads_.push_back(std::move(pending));
  }
  read_asked_.notify_one();
}

Status OpenRocksStore::scan(Column column, std::string_view prefix, const Visitor& visit) {
  hand_over();
  {
    std::unique_lock lock(mutex_);
    scanning_ = true;
    write_asked_.notify_one();
    write_idle_.wait(lock, [this] { return commits_.empty() && !writing_; });
    scanning_ = false;
  }
  if (database_ == nullptr) return fail(closed_error());
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(database_->db->NewIterator(options, database_->at(column)));
  for (it->Seek(slice(prefix)); it->Valid() && it->key().starts_with(slice(prefix)); it->Next()) {
    if (!visit(view(it->key()), view(it->value()))) break;
  }
  if (!it->status().ok()) return fail(to_error(it->status(), "reading column " + std::string(column_name(column))));
  return {};
}

std::size_t OpenRocksStore::poll() {
  hand_over();
  std::deque<std::pair<CommitDone, Status>> commits;
  std::deque<DoneRead> reads;
  {
    const std::lock_guard lock(mutex_);
    commits.swap(commits_done_);
    reads.swap(reads_done_);
  }
  const auto ran = commits.size() + reads.size() + refused_reads_.size();
  for (auto& [done, status] : commits) {
    INSTAR_ASSERT(outstanding_commits_ > 0);
    --outstanding_commits_;
    if (done) done(std::move(status));
  }
  INSTAR_ASSERT(outstanding_reads_ >= reads.size());
  outstanding_reads_ -= reads.size();
  while (!refused_reads_.empty()) {
    reads.push_back(std::move(refused_reads_.front()));
    refused_reads_.pop_front();
  }
  for (auto& read : reads) {
    if (read.asked.read_done) {
      read.asked.read_done(std::move(read.value));
    } else if (read.asked.contains_done) {
      read.asked.contains_done(std::move(read.found));
    }
  }
  return ran;
}

Status OpenRocksStore::reopen() {
  if (outstanding_commits_ > 0)
    return fail(Code::unavailable, "commits are outstanding: poll() until their callbacks have run");
  // The whole database is opened again: RocksDB's own way to go on after an error (Resume) does not work when the log
  // could not be written.
  reclaim_canceled_ = true;
  const std::lock_guard reclaiming(reclaiming_);
  const std::lock_guard reading(reading_);
  reclaim_canceled_ = false;
  database_.reset();
  auto database = Database::open(path_, options_);
  if (!database.has_value()) return fail(std::move(database.error()));
  database_ = std::move(*database);
  const std::lock_guard lock(mutex_);
  failed_ = false;
  return {};
}

void OpenRocksStore::add_to(rocksdb::WriteBatch& out, const Batch& batch) const {
  for (const auto& write : batch) {
    auto* column = database_->at(write.column);
    const auto key = slice(write.key);
    // These fail only for a batch with a size bound, and ours have none.
    if (write.value.has_value()) {
      static_cast<void>(out.Put(column, key, slice(*write.value)));
      if (write.column == Column::chunks) static_cast<void>(out.Put(database_->chunk_keys(), key, rocksdb::Slice()));
    } else {
      static_cast<void>(out.Delete(column, key));
      if (write.column == Column::chunks) static_cast<void>(out.Delete(database_->chunk_keys(), key));
    }
  }
}

Status OpenRocksStore::write_group(const std::vector<PendingCommit>& group) {
  rocksdb::WriteBatch batch;
  for (const auto& pending : group) add_to(batch, pending.batch);
  if (batch.Count() == 0) return {};
  rocksdb::WriteOptions options;
  options.sync = true;
  const auto status = database_->db->Write(options, &batch);
  if (!status.ok()) return fail(to_error(status, "writing to the store"));
  return {};
}

void OpenRocksStore::write_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    write_asked_.wait(lock, [this] { return stopping_ || !commits_.empty(); });
    if (commits_.empty()) return;
    std::vector<PendingCommit> group;
    std::size_t group_bytes = 0;
    while (!commits_.empty() && group_bytes < limits::kStoreGroupBytesMax) {
      for (const auto& write : commits_.front().batch)
        group_bytes += write.key.size() + (write.value ? write.value->size() : 0);
      group.push_back(std::move(commits_.front()));
      commits_.pop_front();
    }
    writing_ = true;
    const bool failed = failed_;
    lock.unlock();
    INSTAR_ASSERT(failed || database_ != nullptr);
    const Status status = failed
                              ? fail(Code::io, "an earlier write failed; the store takes no more until it is reopened")
                              : write_group(group);
    lock.lock();
    writing_ = false;
    if (!status.has_value()) failed_ = true;
    for (auto& pending : group) commits_done_.emplace_back(std::move(pending.done), status);
    if (commits_.empty()) write_idle_.notify_all();
    if (wake_) wake_();
    // The pause ends at once when a scan or the destructor waits for the writer.
    if (group.size() >= kBusyCommits)
      write_asked_.wait_for(lock, kBusyPause, [this] { return stopping_ || scanning_; });
  }
}

void OpenRocksStore::read_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    read_asked_.wait(lock, [this] { return stopping_ || !reads_.empty(); });
    if (stopping_) return;
    DoneRead done{std::move(reads_.front()), std::optional<Bytes>(), std::vector<bool>()};
    reads_.pop_front();
    lock.unlock();
    std::unique_lock reading(reading_);
    if (done.asked.read_done) {
      done.value = get(done.asked.column, done.asked.keys.front());
    } else {
      done.found = find(done.asked.column, done.asked.keys);
    }
    reading.unlock();
    lock.lock();
    reads_done_.push_back(std::move(done));
    if (wake_) wake_();
  }
}

void OpenRocksStore::reclaim() {
  {
    const std::lock_guard lock(mutex_);
    has_deleted_ = true;
  }
  reclaim_asked_.notify_one();
}

// RocksDB forgets a blob file when a compaction has seen the last of its chunks deleted. The chunks of a pack lie
// together, as they came, so most of their files go whole; those with other chunks in them are left to the collection
// of garbage, which writes again what it keeps: on a full disk that would fail.
void OpenRocksStore::reclaim_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    reclaim_asked_.wait(lock, [this] { return stopping_ || has_deleted_; });
    if (stopping_) return;
    has_deleted_ = false;
    lock.unlock();
    {
      const std::lock_guard reclaiming(reclaiming_);
      rocksdb::CompactRangeOptions options;
      options.exclusive_manual_compaction = false;
      options.canceled = &reclaim_canceled_;
      options.blob_garbage_collection_policy = rocksdb::BlobGarbageCollectionPolicy::kDisable;
      // What fails here is done by a later compaction.
      if (database_ != nullptr) {
        for (auto* handle : {database_->at(Column::chunks), database_->chunk_keys()})
          static_cast<void>(database_->db->CompactRange(options, handle, nullptr, nullptr));
      }
    }
    lock.lock();
  }
}

Result<std::optional<Bytes>> OpenRocksStore::get(Column column, const std::string& key) {
  if (database_ == nullptr) return fail(closed_error());
  rocksdb::PinnableSlice value;
  const auto status = database_->db->Get({}, database_->at(column), slice(key), &value);
  if (status.IsNotFound()) return std::optional<Bytes>();
  if (!status.ok()) return fail(to_error(status, "reading from column " + std::string(column_name(column))));
  return std::optional<Bytes>(to_bytes(view(value)));
}

Result<std::vector<bool>> OpenRocksStore::find(Column column, const std::vector<std::string>& keys) {
  if (database_ == nullptr) return fail(closed_error());
  auto* handle = column == Column::chunks ? database_->chunk_keys() : database_->at(column);
  std::vector<bool> found;
  found.reserve(keys.size());
  rocksdb::PinnableSlice value;
  for (const auto& key : keys) {
    value.Reset();
    const auto status = database_->db->Get({}, handle, slice(key), &value);
    if (!status.ok() && !status.IsNotFound()) {
      return fail(to_error(status, "looking into column " + std::string(column_name(column))));
    }
    found.push_back(status.ok());
  }
  return found;
}

}  // namespace

Result<std::unique_ptr<Store>> RocksStore::open(const std::string& path, RocksOptions options) {
  INSTAR_TRY(auto database, Database::open(path, options));
  return std::unique_ptr<Store>(std::make_unique<OpenRocksStore>(path, std::move(database), options));
}

}  // namespace instar::storage

#include "storage/memory_store.hpp"

#include <utility>

#include "core/base/assert.hpp"

namespace instar::storage {

void MemoryStore::crash(std::size_t written) {
  for (std::size_t i = 0; i < written && i < commits_.size() && !failed_; ++i) apply(durable_, commits_[i].batch);
  commits_.clear();
  reads_.clear();
  failed_ = false;
  ++crash_count_;
}

void MemoryStore::commit(Batch batch, CommitDone done) {
  commits_.push_back({std::move(batch), std::move(done), ++commit_count_, poll_count_ + 1 + faults_.delay_polls});
  if (wake_) wake_();
}

void MemoryStore::read(Column column, std::string key, ReadDone done) {
  PendingRead pending;
  pending.column = column;
  pending.keys.push_back(std::move(key));
  pending.read_done = std::move(done);
  pending.due_poll = poll_count_ + 1 + faults_.delay_polls;
  reads_.push_back(std::move(pending));
  if (wake_) wake_();
}

void MemoryStore::contains(Column column, std::vector<std::string> keys, ContainsDone done) {
  PendingRead pending;
  pending.column = column;
  pending.keys = std::move(keys);
  pending.contains_done = std::move(done);
  pending.due_poll = poll_count_ + 1 + faults_.delay_polls;
  reads_.push_back(std::move(pending));
  if (wake_) wake_();
}

void MemoryStore::apply(std::array<Table, kColumnCount>& tables, const Batch& batch) {
  for (const auto& write : batch) {
    auto& table = tables[static_cast<std::size_t>(write.column)];
    if (write.value.has_value()) {
      table.insert_or_assign(write.key, *write.value);
    } else {
      table.erase(write.key);
    }
  }
}

Status MemoryStore::scan(Column column, std::string_view prefix, const Visitor& visit) {
  // The scan goes over a copy, because the visitor may commit. It shows commits that are not yet durable too.
  Table table = durable_[static_cast<std::size_t>(column)];
  for (const auto& pending : commits_) {
    const bool fails = failed_ || (faults_.fail_commit.has_value() && pending.number >= *faults_.fail_commit);
    if (fails) break;
    for (const auto& write : pending.batch) {
      if (write.column != column) continue;
      if (write.value.has_value()) {
        table.insert_or_assign(write.key, *write.value);
      } else {
        table.erase(write.key);
      }
    }
  }
  for (auto it = table.lower_bound(prefix); it != table.end() && it->first.starts_with(prefix); ++it) {
    if (!visit(as_bytes(it->first), it->second)) break;
  }
  return {};
}

std::size_t MemoryStore::poll() {
  ++poll_count_;
  const auto commits_run = poll_commits();
  return commits_run + poll_reads();
}

std::size_t MemoryStore::poll_commits() {
  std::size_t ran = 0;
  const auto crashes = crash_count_;
  // A request that a callback makes completes in a later poll, as with a real disk.
  while (crashes == crash_count_ && !commits_.empty() && commits_.front().due_poll <= poll_count_) {
    auto pending = std::move(commits_.front());
    commits_.pop_front();
    if (faults_.fail_commit.has_value() && pending.number >= *faults_.fail_commit) failed_ = true;
    if (!failed_) apply(durable_, pending.batch);
    if (pending.done) pending.done(failed_ ? Status(fail(Code::io, "the store refused a write")) : Status());
    ++ran;
  }
  return ran;
}

std::size_t MemoryStore::poll_reads() {
  std::size_t ran = 0;
  const auto crashes = crash_count_;
  while (crashes == crash_count_ && !reads_.empty() && reads_.front().due_poll <= poll_count_) {
    auto pending = std::move(reads_.front());
    reads_.pop_front();
    answer(pending);
    ++ran;
  }
  return ran;
}

void MemoryStore::answer(PendingRead& pending) {
  const auto& table = durable_[static_cast<std::size_t>(pending.column)];
  if (pending.read_done) {
    INSTAR_ASSERT(pending.keys.size() == 1);
    const auto it = table.find(pending.keys.front());
    pending.read_done(it == table.end() ? std::optional<Bytes>() : std::optional<Bytes>(it->second));
    return;
  }
  std::vector<bool> found;
  found.reserve(pending.keys.size());
  for (const auto& key : pending.keys) found.push_back(table.contains(key));
  if (pending.contains_done) pending.contains_done(std::move(found));
}

Status MemoryStore::reopen() {
  if (pending_commits() > 0)
    return fail(Code::unavailable, "commits are outstanding: poll() until their callbacks have run");
  if (faults_.fail_reopens > 0) {
    --faults_.fail_reopens;
    return fail(Code::io, "the store is still refusing writes");
  }
  faults_.fail_commit.reset();
  failed_ = false;
  return {};
}

}  // namespace instar::storage

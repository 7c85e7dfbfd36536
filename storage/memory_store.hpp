// A Store in memory whose disk can be slow, fail and lose power: for the simulator and for tests.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>

#include "storage/store.hpp"

namespace instar::storage {

class MemoryStore final : public Store {
 public:
  struct Faults {
    // The commit with this number and all after it fail until reopen(). The first commit is number 1.
    std::optional<std::uint64_t> fail_commit = std::nullopt;
    // reopen() fails this many times.
    std::uint32_t fail_reopens = 0;
    // A commit or read completes in the (1 + delay_polls)-th poll after the call.
    std::uint32_t delay_polls = 0;
  };

  MemoryStore() = default;

  void set_faults(Faults faults) { faults_ = faults; }
  // Cuts the power: what was not durable is lost, and no earlier callback will run.
  void crash() { crash(0); }
  // Cuts the power right after this many more commits have reached the disk: they are durable, but their callbacks
  // have not run.
  void crash(std::size_t written);
  // How many commits have been made since the start. Faults::fail_commit counts in the same way.
  [[nodiscard]] std::uint64_t commit_count() const noexcept { return commit_count_; }
  // What the store would hold after a crash now.
  [[nodiscard]] std::optional<Bytes> durable(Column column, std::string_view key) const {
    const auto& table = durable_[static_cast<std::size_t>(column)];
    const auto found = table.find(key);
    return found == table.end() ? std::nullopt : std::optional(found->second);
  }
  [[nodiscard]] std::size_t size(Column column) const { return durable_[static_cast<std::size_t>(column)].size(); }

  void commit(Batch batch, CommitDone done) override;
  void read(Column column, std::string key, ReadDone done) override;
  void contains(Column column, std::vector<std::string> keys, ContainsDone done) override;
  [[nodiscard]] Status scan(Column column, std::string_view prefix, const Visitor& visit) override;
  std::size_t poll() override;
  [[nodiscard]] std::size_t pending_commits() const noexcept override { return commits_.size(); }
  void on_ready(std::function<void()> wake) override { wake_ = std::move(wake); }
  [[nodiscard]] Status reopen() override;

 private:
  using Table = std::map<std::string, Bytes, std::less<>>;
  struct PendingCommit {
    Batch batch;
    CommitDone done;
    std::uint64_t number = 0;
    std::uint64_t due_poll = 0;
  };
  struct PendingRead {
    Column column = Column::meta;
    std::vector<std::string> keys;
    ReadDone read_done;
    ContainsDone contains_done;
    std::uint64_t due_poll = 0;
  };
  static void apply(std::array<Table, kColumnCount>& tables, const Batch& batch);
  void answer(PendingRead& pending);
  std::size_t poll_commits();
  std::size_t poll_reads();

  std::array<Table, kColumnCount> durable_;
  std::deque<PendingCommit> commits_;
  std::deque<PendingRead> reads_;
  Faults faults_;
  std::function<void()> wake_;
  std::uint64_t commit_count_ = 0;
  std::uint64_t poll_count_ = 0;
  std::uint64_t crash_count_ = 0;
  bool failed_ = false;
};

}  // namespace instar::storage

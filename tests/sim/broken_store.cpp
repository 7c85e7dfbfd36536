#include "tests/sim/broken_store.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/rollout/exchange/record.hpp"
#include "storage/key_layout.hpp"
#include "tests/sim/names.hpp"

namespace instar::sim {
namespace {

class EagerStore final : public storage::Store {
 public:
  explicit EagerStore(storage::Store& inner) : inner_(inner) {}
  void commit(storage::Batch batch, CommitDone done) override {
    inner_.commit(std::move(batch), [](Status) {});
    done_.push_back(std::move(done));
  }
  void read(storage::Column column, std::string key, ReadDone done) override {
    inner_.read(column, std::move(key), std::move(done));
  }
  void contains(storage::Column column, std::vector<std::string> keys, ContainsDone done) override {
    inner_.contains(column, std::move(keys), std::move(done));
  }
  Status scan(storage::Column column, std::string_view prefix, const Visitor& visit) override {
    return inner_.scan(column, prefix, visit);
  }
  std::size_t poll() override {
    for (auto& done : std::exchange(done_, {})) done({});
    return inner_.poll();
  }
  std::size_t pending_commits() const noexcept override { return inner_.pending_commits(); }
  void on_ready(std::function<void()> wake) override { inner_.on_ready(std::move(wake)); }
  Status reopen() override { return inner_.reopen(); }

 private:
  storage::Store& inner_;
  std::vector<CommitDone> done_;
};

class Spoiler {
 public:
  explicit Spoiler(storage::MemoryStore& store) : store_(store) {}

  // Replaces what `change` gives other bytes for. It may return nothing: the value stays.
  template <class Change>
  void visit(storage::Column column, std::string_view prefix, Change change) {
    const auto scanned = store_.scan(column, prefix, [&](ByteView key, ByteView value) {
      if (auto changed = change(as_text(key), value); !changed.empty())
        batch_.push_back({column, std::string(as_text(key)), std::move(changed)});
      return true;
    });
    static_cast<void>(scanned);
  }
  template <class Change>
  void visit_devices(Change change) {
    visit(storage::Column::devices, "", [&](std::string_view name, ByteView value) {
      auto record = rollout::decode_device_record(value);
      return record && change(name, *record) ? rollout::encode(*record) : Bytes();
    });
  }
  void add(storage::Column column, std::string key, Bytes value) {
    batch_.push_back({column, std::move(key), std::move(value)});
  }
  void write() {
    if (batch_.empty()) return;
    store_.set_faults({});
    store_.commit(std::exchange(batch_, {}), {});
    store_.poll();
  }

 private:
  storage::MemoryStore& store_;
  storage::Batch batch_;
};

// What rollouts go by.
void spoil_counts(Spoiler& spoiler, const Canaries& canaries) {
  if (canaries.forget_turns) {
    spoiler.visit(storage::Column::members, "", [](std::string_view, ByteView value) {
      auto record = rollout::decode_member_record(value);
      if (!record || record->granted == 0) return Bytes();
      record->granted = 0;
      return rollout::encode(*record);
    });
  }
  if (canaries.lost_lease) {
    spoiler.visit(storage::Column::rollouts, storage::kRolloutPrefix, [](std::string_view, ByteView value) {
      auto record = rollout::decode_rollout_record(value);
      if (!record || record->bytes_leased == 0) return Bytes();
      record->bytes_leased = 0;
      return rollout::encode(*record);
    });
  }
}

// What strangers have said of rollouts counts.
void count_strangers(Spoiler& spoiler) {
  std::vector<ManifestId> rollouts;
  spoiler.visit(storage::Column::rollouts, storage::kRolloutPrefix, [&](std::string_view key, ByteView) {
    if (const auto id = storage::parse_rollout_key(as_bytes(key))) rollouts.push_back(*id);
    return Bytes();
  });
  spoiler.visit(storage::Column::devices, "", [&](std::string_view name, ByteView) {
    if (!is_foreign(name)) return Bytes();
    rollout::MemberRecord member;
    member.step = wire::Step::failed;
    member.code = Code::unhealthy;
    member.attempt = 1;
    member.report_sequence = 1;
    for (const auto& id : rollouts) {
      spoiler.add(storage::Column::members, storage::member_key(id, *DeviceId::parse(name)), rollout::encode(member));
    }
    return Bytes();
  });
}

// Who is who.
bool spoil_device(std::string_view name, rollout::DeviceRecord& record, const Canaries& canaries) {
  const auto before = record;
  if (canaries.double_count && record.applied_sequence > 0) --record.applied_sequence;
  if (canaries.late_counts && is_late(name)) record.first_seen = WallMs{1};
  if (canaries.forget_hellos) record.boot = record.connect = 0;
  if (canaries.hidden_clone) {
    record.instance = 0;
    record.instances_before.clear();
    record.cloned = {};
  }
  return !(record == before);
}

}  // namespace

std::unique_ptr<storage::Store> make_eager_store(storage::Store& inner) {
  return std::make_unique<EagerStore>(inner);
}

void spoil_store(storage::MemoryStore& store, const Canaries& canaries) {
  Spoiler spoiler(store);
  spoil_counts(spoiler, canaries);
  if (canaries.strangers_count) count_strangers(spoiler);
  spoiler.visit_devices(
      [&](std::string_view name, rollout::DeviceRecord& record) { return spoil_device(name, record, canaries); });
  spoiler.write();
}

}  // namespace instar::sim

// One hash of all that left the machines of a run: two builds that decide alike print the same one (instar_sim --hash).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/log_level.hpp"
#include "core/base/time.hpp"
#include "core/revision/machine.hpp"
#include "core/trust/digest.hpp"
#include "core/wire/delivery.hpp"
#include "storage/store.hpp"

namespace instar::sim {

// Knows nothing of the types behind a hash or an id: it takes bytes, numbers and texts, each with its length, so that a
// type may get another name without another hash. Logs count too: what a person reads is what the machine decided. One
// thread.
class EffectHash {
 public:
  // `who` does this at `now`.
  void effect(std::string_view who, MonotonicMs now, const revision::Effect& effect);
  // The broker publishes.
  void published(MonotonicMs now, std::string_view topic, ByteView payload, wire::Qos qos, wire::Retain retain);
  // The broker's answer to one message of a client.
  void answered(MonotonicMs now, std::string_view client, std::string_view topic, bool routed);
  // The broker logs.
  void logged(MonotonicMs now, LogLevel level, std::string_view line);
  // What the store holds at the end.
  void stored(storage::Store& store);
  // 16 hex digits. The hash cannot be added to afterwards.
  [[nodiscard]] std::string finish();

 private:
  void number(std::uint64_t value);
  void text(std::string_view value);
  void bytes(ByteView value);
  void add(const revision::Persist& effect);
  void add(const revision::Publish& effect);
  void add(const revision::OpenStaging& effect);
  void add(const revision::StagePiece& effect);
  void add(const revision::FinishStaging& effect);
  void add(const revision::RemoveRevision& effect);
  void add(const revision::TrimRevision& effect);
  void add(const revision::StartTry& effect);
  void add(const revision::RunProbe& effect);
  void add(const revision::SwitchBack& effect);
  void add(const revision::EnsureRunning& effect);
  void add(const revision::PointCurrent& effect);
  void add(const revision::Resubscribe& effect);
  void add(const revision::Log& effect);

  trust::Hasher hasher_;
};

}  // namespace instar::sim

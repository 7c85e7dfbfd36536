// How a device that was away catches up: a root document that does not follow the one it holds is kept, and the
// versions between are asked for, one at a time, each on a topic of its own. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"
#include "core/trust/root.hpp"

namespace instar::revision {

class RootChain {
 public:
  // `offered`: the newest root document, which the one of version `held` does not lead to. It is kept and tried again.
  // False: it is not later than that one, and nothing is asked for.
  [[nodiscard]] bool offer(ByteView offered, std::uint32_t held, MonotonicMs now);
  // Version `held` has been taken: the next one is asked for.
  void go_on(std::uint32_t held, MonotonicMs now) noexcept;
  // Nothing is missing any more, or what was offered is of no use.
  void close() noexcept;

  // The version that is asked for; nullopt: none.
  [[nodiscard]] std::optional<std::uint32_t> wanted() const noexcept { return wanted_; }
  [[nodiscard]] const Bytes& offered() const noexcept { return offered_; }
  [[nodiscard]] std::uint32_t offered_version() const noexcept { return offered_version_; }
  // It may come soon: what its keys have signed need not be refused yet.
  [[nodiscard]] bool is_awaited() const noexcept { return wanted_.has_value() && !is_late_; }

  void connected(MonotonicMs now) noexcept;
  void disconnected() noexcept { asked_.reset(); }
  // True, once: it does not come.
  [[nodiscard]] bool is_missed(MonotonicMs now) noexcept;
  // What people have to do about that; empty: nothing.
  [[nodiscard]] std::string trouble() const;
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;

  // That this document expires soon, or has expired, by the device's own clock; nullopt: no, or it was said before.
  [[nodiscard]] std::optional<std::string> expiry_to_say(const trust::RootDocument& root, WallMs wall);

  void assert_invariants() const;

 private:
  Bytes offered_;
  std::uint32_t offered_version_ = 0;
  std::optional<std::uint32_t> wanted_;
  std::optional<MonotonicMs> asked_;  // while connected
  bool is_late_ = false;
  std::uint32_t expiry_said_ = 0;  // of which version
};

}  // namespace instar::revision

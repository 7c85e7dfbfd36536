// The gates that this device has received: which of them it obeys, and what they let it do. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/revision/device_state.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"

namespace instar::revision {

class Gates {
 public:
  // `marks`: the issue of each gate that was received before the start, oldest first. Older gates are not obeyed.
  explicit Gates(std::vector<GateMark> marks) : marks_(std::move(marks)) {}

  enum class Taken : std::uint8_t { older, again, news };
  // `older`: than one received before, and ignored. `news`: its mark is to be persisted. Whether it keeps to its
  // manifest's policy is asked with vet(). `is_needed`: of a release that is on offer or on the device, whose mark
  // stays whatever else comes; when there are too many, the oldest of the others goes.
  using Needed = std::function<bool(const ManifestId&)>;
  [[nodiscard]] Taken take(const wire::Gate& gate, const Needed& is_needed);
  // Issue of the newest gate of that release that was received; 0: none.
  [[nodiscard]] std::uint64_t issue(const ManifestId& manifest) const noexcept;

  // A gate and the manifest that binds it may come in any order: to be called with either. Errors: the gate breaks the
  // manifest's policy, and is not obeyed. `trust`: whose signed approvals count; null: the release runs already, and
  // nothing that needs one follows from its gate.
  [[nodiscard]] Status vet(const ManifestId& hash, const wire::Manifest& manifest, const trust::TrustStore* trust);
  // The gate that counts; null: none is known, or it is not obeyed.
  [[nodiscard]] const wire::Gate* find(const ManifestId& manifest) const noexcept;
  // One is known, and it is not obeyed.
  [[nodiscard]] bool is_broken(const ManifestId& manifest) const noexcept { return broken_.contains(manifest); }
  // Of any gate that is known, obeyed or not.
  [[nodiscard]] std::optional<wire::GateState> state_of(const ManifestId& manifest) const noexcept;
  [[nodiscard]] std::optional<std::uint32_t> retry_epoch(const ManifestId& manifest) const noexcept;

  // It is open for `device`.
  [[nodiscard]] bool admits(const ManifestId& hash, const wire::Manifest& manifest, const DeviceId& device) const;
  // The rollout was aborted or reverted.
  [[nodiscard]] bool is_ended(const ManifestId& manifest) const noexcept;

  [[nodiscard]] const std::vector<GateMark>& marks() const noexcept { return marks_; }
  // Each gate has its mark, each broken one is known.
  void assert_invariants() const;

 private:
  std::vector<GateMark> marks_;
  std::map<ManifestId, wire::Gate> gates_;
  std::set<ManifestId> broken_;
};

}  // namespace instar::revision

// What goes back and forth: two trees that share some of their files, as full, dedupe and delta packs, and signed
// releases of them by sequence. The same in the device's process and in the one that cuts its power.
#pragma once

#include <string>

#include "core/trust/keys.hpp"
#include "core/wire/manifest.hpp"
#include "device-client/testing/delta_fixture.hpp"

namespace instar::powercut {

class Releases {
 public:
  Releases();

  // By turns of the two trees; each release differs from the one before. One in six has a probe that fails.
  [[nodiscard]] wire::Manifest manifest(std::uint64_t sequence) const;
  [[nodiscard]] static bool is_bad(std::uint64_t sequence) noexcept { return sequence % 6 == 5; }
  [[nodiscard]] Bytes signed_manifest(std::uint64_t sequence) const;
  [[nodiscard]] Bytes signed_gate(std::uint64_t sequence, WallMs now) const;
  [[nodiscard]] Bytes signed_root() const;
  [[nodiscard]] const std::vector<device::ArtifactFixture>& trees() const noexcept { return trees_; }

  static constexpr const char* kGroup = "plant/line";
  static constexpr const char* kProduct = "p";

 private:
  std::vector<device::ArtifactFixture> trees_;
  trust::SecretKey root_, release_, gate_;
};

}  // namespace instar::powercut

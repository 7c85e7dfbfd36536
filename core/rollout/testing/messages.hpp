// What devices and operators send, as the tests of this room need it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/time.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/testing/examples.hpp"

namespace instar::rollout {

using wire::Step;
using wire::examples::group;

inline constexpr Now kNow{{1'760'000'000'000}, {1'000}};

[[nodiscard]] DeviceId id(std::string_view text);
// Of the manifest with this sequence.
[[nodiscard]] ManifestId hash(std::uint64_t sequence);
// The one pack of each of these manifests; 10,000,000 bytes.
[[nodiscard]] PackId pack();
[[nodiscard]] wire::Manifest manifest(std::uint64_t sequence, std::vector<GroupPath> groups = {group("plant-7")});
[[nodiscard]] wire::Hello hello(std::string_view device, std::vector<GroupPath> groups = {group("plant-7/line-a")});
[[nodiscard]] wire::Report report(std::string_view device, std::uint64_t sequence, const ManifestId& rollout, Step step,
                                  std::uint32_t attempt = 1);

}  // namespace instar::rollout

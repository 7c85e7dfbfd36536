// What a release is held against before it goes out: names that were used before, groups that nobody is in, and the
// machines of its devices.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "publisher/broker/rollout_view.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {

// Whom the broker knows, as its answer to nextSequence has it.
struct KnownFleet {
  struct Named {
    std::string name;
    std::uint64_t devices = 0;
  };
  std::vector<Named> by_group;  // of the product, in each of the release's groups and below
  std::vector<Named> groups;    // in which devices of the product are, those with the most first
  std::vector<Named> products;  // of which devices are, likewise
};
[[nodiscard]] KnownFleet read_known_fleet(const Json& answer);

struct ReleaseDoubt {
  enum class Kind : std::uint8_t {
    none,
    notice,    // worth a line
    question,  // to be asked about, or said by an option
  };
  Kind kind = Kind::none;
  std::string text;
};

// Another release of the product has that name. `content`: short hex of wire::content_hash(); of the same content it is
// a notice. `rollouts`: newest first.
[[nodiscard]] ReleaseDoubt check_name(const std::vector<RolloutStatus>& rollouts, const std::string& product,
                                      const std::string& release, const std::string& content);
// One of the release's groups has no device of the product. While none of the product is known at all, a first release
// may well come before the devices, and it is a notice.
[[nodiscard]] ReleaseDoubt check_groups(const KnownFleet& fleet, const std::string& product);

// Devices that cannot run a program of the release: machine → their names.
struct UnfitDevices {
  std::map<std::string, std::vector<std::string>> by_machine;
  bool is_part = false;  // there are more devices than were looked at
};
// "12 devices are armv7l (gw-01, gw-02, gw-03, …)"; "at least 12 devices" of a part.
[[nodiscard]] std::string unfit_text(const UnfitDevices& unfit);

}  // namespace instar::publisher

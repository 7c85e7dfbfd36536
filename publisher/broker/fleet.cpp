#include "publisher/broker/fleet.hpp"

#include "core/base/limits.hpp"
#include "publisher/broker/pages.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
Outcome<Fleet> ask_fleet(Session& session, const std::string& product, const std::vector<GroupPath>& groups) {
  Json names = Json::array();
  for (const auto& group : groups) names.push_back(group.str());
  Fleet fleet;
  fleet.asked = true;
  const auto answer = for_each_row(
      session, "listArtifacts", "artifacts", {{"product", product}, {"groups", names}},
      [&](const Json& row) {
        const auto id = ArtifactId::from_hex(get_text(row, "artifact"));
        if (!id) return;
        fleet.artifacts.push_back(
            {*id, get_text(row, "release"), get_number(row, "devices"), get_number(row, "metered")});
      },
      limits::kFleetArtifactsMax);
  if (!answer) {
    // An older plugin does not know the command.
    if (answer.error().exit == Exit::refused) return fleet;
    return fail(answer.error());
  }
  fleet.known = true;
  fleet.devices = get_number(*answer, "devices");
  fleet.devices_without = get_number(*answer, "devices_without");
  return fleet;
}

}  // namespace instar::publisher

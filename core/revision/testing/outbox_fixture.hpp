// What a part of the machine is given in its own tests: an outbox on a link, and revisions to choose from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/revision/outbox.hpp"
#include "core/revision/revisions.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/topics.hpp"

namespace instar::revision {

class OutboxFixture {
 public:
  // `state`: of the revisions; connected from the start.
  explicit OutboxFixture(RevisionsState state = {}, std::optional<RevisionRecord> factory = std::nullopt,
                         Bytes factory_manifest = {});

  // A release of one container "app" with one artifact, which has a full pack; and its hash.
  [[nodiscard]] static wire::Manifest release(std::uint64_t sequence);
  [[nodiscard]] static ManifestId hash_of(const wire::Manifest& manifest);
  // As it stands in a device's state.
  [[nodiscard]] static Bytes envelope_of(const wire::Manifest& manifest);
  [[nodiscard]] static RevisionRecord record_of(std::uint32_t number, const wire::Manifest& manifest);
  // Revision `number` runs it.
  [[nodiscard]] static RevisionsState running(std::uint32_t number, const wire::Manifest& manifest);

  void pass(std::int64_t ms);
  [[nodiscard]] MonotonicMs now() const noexcept { return out.time(); }
  // Ends the call; what it brought about. Whether the state was to be persisted is remembered.
  Effects take();
  bool persisted = false;  // in the call that was taken last
  // Of these effects: reports that went out, lines of the log, effects of one kind.
  [[nodiscard]] static std::vector<wire::Report> reports(const Effects& effects);
  [[nodiscard]] static std::vector<std::string> log(const Effects& effects);
  template <typename Kind>
  [[nodiscard]] static std::vector<Kind> all(const Effects& effects) {
    std::vector<Kind> found;
    for (const auto& effect : effects) {
      if (const auto* one = std::get_if<Kind>(&effect)) found.push_back(*one);
    }
    return found;
  }

 private:
  DeviceId device_;
  trust::SecretKey key_;
  wire::Topics topics_;

 public:
  Revisions revisions;
  Outbox out;
};

}  // namespace instar::revision

#include "publisher/commands/publish_doubts.hpp"

#include <iostream>

#include "publisher/broker/release_checks.hpp"
#include "publisher/broker/rollouts.hpp"
#include "publisher/console/question.hpp"

namespace instar::publisher {
namespace {

Outcome<void> settle_doubt(const ReleaseDoubt& doubt, bool is_settled, const char* option, const Console& console) {
  if (doubt.kind == ReleaseDoubt::Kind::none) return {};
  if (doubt.kind == ReleaseDoubt::Kind::notice || is_settled) {
    console.err << "instar: " << doubt.text << "\n";
    return {};
  }
  if (!can_ask(console)) {
    return fail(Exit::refused, Code::refused, doubt.text + ". To publish it all the same, say " + option);
  }
  if (ask_yes(console, std::cin, "instar: " + doubt.text + ". Publish it all the same?")) return {};
  return fail(Exit::refused, Code::refused, "nothing was published");
}

}  // namespace

void add_doubts(CLI::App& command, DoubtOptions& options) {
  command.add_flag("--again", options.again, "Publish it though the release's name was used before, for other content");
  command.add_flag("--empty-group", options.empty_group,
                   "Publish it also to groups in which no device of the product is known");
}

Outcome<void> check_before_publish(const ReleaseSpec& spec, const ArtifactFolders& artifacts,
                                   const DoubtOptions& options, Session& session, const Console& console) {
  // The content does not depend on the sequence, the time and the salt.
  INSTAR_TRY(const auto manifest, make_manifest(spec, artifacts, 1, wall_now(), Bytes(16)));
  INSTAR_TRY(const auto rollouts, list_rollouts(session));
  const auto name = check_name(rollouts, spec.product, spec.release, wire::content_hash(manifest).short_hex());
  INSTAR_CHECK(settle_doubt(name, options.again, "--again", console));
  INSTAR_TRY(const auto next, next_sequence(session, spec.product, spec.groups));
  return settle_doubt(check_groups(next.fleet, spec.product), options.empty_group, "--empty-group", console);
}

}  // namespace instar::publisher

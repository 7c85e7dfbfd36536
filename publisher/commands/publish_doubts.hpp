// What may be wrong with a release as it is about to go out: asked about, refused, or passed by an option.
#pragma once

#include <CLI/CLI.hpp>

#include "publisher/broker/session.hpp"
#include "publisher/console/console.hpp"
#include "publisher/release/release.hpp"

namespace instar::publisher {

struct DoubtOptions {
  bool again = false;        // the name was used before, for other content
  bool empty_group = false;  // nobody is in a group
};
void add_doubts(CLI::App& command, DoubtOptions& options);

// Before anything is sent. On a terminal the person is asked. Errors: refused (the message names the option), those of
// the session.
[[nodiscard]] Outcome<void> check_before_publish(const ReleaseSpec& spec, const ArtifactFolders& artifacts,
                                                 const DoubtOptions& options, Session& session, const Console& console);

}  // namespace instar::publisher

// --root and --key, of the commands that sign.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "publisher/broker/connection.hpp"
#include "publisher/console/failure.hpp"

namespace instar::publisher {

struct SigningOptions {
  std::string root;
  std::vector<std::string> keys;
};

void add_signing(CLI::App& command, SigningOptions& options, const char* root_help);
// Takes from the config file what the command line does not say. Errors: usage, when neither names them.
[[nodiscard]] Outcome<void> settle_signing(SigningOptions& options, const ReleaseDefaults& defaults);

}  // namespace instar::publisher

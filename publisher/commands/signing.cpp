#include "publisher/commands/signing.hpp"

namespace instar::publisher {

void add_signing(CLI::App& command, SigningOptions& options, const char* root_help) {
  command.add_option("--root", options.root, std::string(root_help) + " [`root` of the config file]")
      ->type_name("FILE");
  command
      .add_option("--key", options.keys, "Secret release key; repeat for several signatures [`key` of the config file]")
      ->type_name("FILE");
}

Outcome<void> settle_signing(SigningOptions& options, const ReleaseDefaults& defaults) {
  if (options.root.empty()) options.root = defaults.root;
  if (options.keys.empty()) options.keys = defaults.keys;
  if (options.root.empty())
    return fail(Exit::usage, Code::invalid_argument,
                "which root document? Give --root FILE, or `root = FILE` in the config file (`instar help config`)");
  if (options.keys.empty())
    return fail(Exit::usage, Code::invalid_argument,
                "which key signs? Give --key FILE, or `key = FILE` in the config file (`instar help config`)");
  return {};
}

}  // namespace instar::publisher

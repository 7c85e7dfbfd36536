#include "publisher/commands/commands.hpp"
#include "publisher/release/inspection.hpp"

namespace instar::publisher::inspect_command {
namespace {

Outcome<Exit> run(const InspectOptions& options, const Console& console) {
  INSTAR_TRY(const auto inspection, inspect(options, wall_now()));
  console.text() << inspection.text;
  console.document(inspection.json);
  return inspection.problem ? Exit::invalid_input : Exit::ok;
}

}  // namespace

void add(CLI::App& app, Context& context) {
  const auto options = std::make_shared<InspectOptions>();
  auto* command = app.add_subcommand("inspect",
                                     "Say what a file is, and all that is in it\n\n"
                                     "Knows manifests, root documents, gates, hellos and reports (as heard on MQTT), "
                                     "packs, indexes, keys and artifact folders. "
                                     "Ends with 5 when a check does not hold.");
  command->add_option("FILE", options->path, "The file, or an artifact folder")->required();
  command->add_option("--root", options->root_path, "Verify signatures with this root document")->type_name("FILE");
  command->add_option("--device-key", options->device_key, "Verify a hello or report with this public key")
      ->type_name("FILE");
  command->add_flag("--contents", options->contents,
                    "Check every chunk of a pack or artifact; list every entry of an index");
  command
      ->add_option("--base", options->base, "With --contents: decode a delta against this tree or artifact folder too")
      ->type_name("OLD");
  add_json(*command, context);
  command->footer(
      "Examples:\n  instar inspect out/web-2.4.1 --contents\n"
      "  mosquitto_sub -C 1 -t instar/v1/manifest/plant-7/press > m && instar inspect m --root keys/root.instar");
  command->callback(
      [options, &context] { context.run = [options, &context] { return run(*options, context.console); }; });
}

}  // namespace instar::publisher::inspect_command

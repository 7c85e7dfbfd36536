#include "publisher/commands/commands.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"
#include "publisher/release/keyring.hpp"

namespace instar::publisher::keygen_command {
namespace {

std::string_view place_of(trust::RoleName role) noexcept {
  switch (role) {
    case trust::RoleName::root: return "offline, in a safe: only changes of keys need it";
    case trust::RoleName::release: return "with whoever publishes releases";
    case trust::RoleName::gate: return "on the broker: plugin_opt_gate_key";
    case trust::RoleName::approve: return "with whoever approves waves";
  }
  return "";
}

Outcome<Exit> run(KeygenOptions options, const std::string& expires, const Console& console) {
  INSTAR_TRY(options.expires_after_ms, parse_root_expiry(expires));
  INSTAR_TRY(const auto result, generate_keys(options, wall_now()));
  Json keys = Json::array();
  Table table;
  table.column("FILE");
  table.column("KEY");
  table.column("WHERE IT BELONGS");
  for (const auto& key : result.keys) {
    keys.push_back({{"role", std::string(role_text(key.role))},
                    {"id", trust::key_text(key.id)},
                    {"secret_file", key.path},
                    {"public_file", key.public_path}});
    table.row({key.path, trust::key_text(key.id), std::string(place_of(key.role))});
  }
  table.row({result.root_path, "-", "on every device and on the broker: plugin_opt_root; it is public"});
  console.text() << table.str()
                 << "\nThe .pub files are the public parts. Keep a copy of the root key where no machine is.\n"
                 << "Next: instar pack TREE -o OUT\n";
  console.document({{"root_file", result.root_path}, {"root_hash", result.root_hash.hex()}, {"keys", std::move(keys)}});
  return Exit::ok;
}

}  // namespace

void add(CLI::App& app, Context& context) {
  const auto options = std::make_shared<KeygenOptions>();
  const auto expires = std::make_shared<std::string>(kRootExpiresDefault);
  auto* command = app.add_subcommand(
      "keygen",
      "Make the keys of a deployment and its first root document\n\n"
      "Writes to DIR a secret key (root.key, release.key, gate.key; mode 0600) and a public one (.pub) for each role, "
      "and root.instar: version 1 of the root document, which says whose signature counts for what. Nothing is ever "
      "overwritten.");
  command->add_option("DIR", options->folder, "Folder for the keys; made if need be")->required();
  command->add_option("--root-keys", options->root_keys, "How many root keys to make")
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--root-threshold", options->root_threshold, "How many of them must sign a change of keys")
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--release-keys", options->release_keys, "How many release keys to make")
      ->capture_default_str()
      ->type_name("N");
  command
      ->add_option("--release-threshold,--threshold", options->release_threshold,
                   "How many of them must sign a release")
      ->capture_default_str()
      ->type_name("N");
  command
      ->add_option("--release-groups", options->release_filter,
                   "Limit the release keys to a group (plant-7) or to one and all below it (plant-7/#)")
      ->type_name("FILTER");
  command->add_option("--label", options->label, "Name to put before each key's label, for people")->type_name("TEXT");
  // Its name before, which looks as if keys belonged to a product.
  command->add_option("--product", options->label)->group("");
  command
      ->add_option("--expires", *expires,
                   "After this time devices begin with nothing new until a next root document is there, or `never`")
      ->capture_default_str()
      ->type_name("TIME");
  add_json(*command, context);
  command->footer(
      "Examples:\n  instar keygen keys\n  instar keygen keys --root-keys 3 --root-threshold 2 --release-keys 2 "
      "--release-threshold 2");
  command->callback([options, expires, &context] {
    context.run = [options, expires, &context] { return run(*options, *expires, context.console); };
  });
}

}  // namespace instar::publisher::keygen_command

#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "publisher/broker/roots.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/release/keyring.hpp"
#include "publisher/release/root_chain.hpp"

namespace instar::publisher::root_command {
namespace {

Result<trust::TrustStore> open_root(ByteView bytes, const std::string& path) {
  auto store = trust::TrustStore::from_pinned(bytes);
  if (!store) return fail(with_context(std::move(store.error()), path + " is no root document that can be used"));
  return store;
}

void warn_of_expiry(const trust::RootDocument& root, const Console& console) {
  if (const auto warning = trust::expiry_warning(root, wall_now())) console.err << "instar: " << *warning << "\n";
}

Outcome<Exit> show(const std::string& path, const Console& console) {
  INSTAR_TRY(const auto bytes, files::read_file(path, limits::kMessageBytesMax));
  INSTAR_TRY(const auto store, open_root(bytes, path));
  warn_of_expiry(store.root(), console);
  console.text() << root_text(store.root());
  console.document(root_json(store.root()));
  return Exit::ok;
}

Outcome<Exit> publish(const std::string& path, const std::vector<std::string>& older,
                      const ConnectionOptions& connection, const Console& console) {
  INSTAR_TRY(const auto bytes, files::read_file(path, limits::kMessageBytesMax));
  INSTAR_TRY(const auto store, open_root(bytes, path));
  INSTAR_TRY(const auto found, read_roots(older, path));
  INSTAR_TRY(const auto session, connect(connection));
  INSTAR_TRY(const auto outcome, bring_root(*session, store, chain_before(bytes, found)));
  if (outcome.kept != 0) {
    console.text() << "kept: version " << outcome.kept << " of the chain, for devices that were away; root version "
                   << outcome.version_now << " stays in force\n";
  } else {
    console.text() << (outcome.published ? "the broker took root version "
                                         : "nothing to do: the broker holds root version ")
                   << outcome.version_now << "\n";
  }
  warn_of_expiry(store.root(), console);
  console.document({{"published", outcome.published},
                    {"version_before", outcome.version_before},
                    {"version", outcome.version_now},
                    {"kept", outcome.kept}});
  return Exit::ok;
}

struct NewVersionOptions {
  std::string current;
  std::string out;
  std::vector<std::string> keys;
  std::vector<std::string> add_release;
  std::vector<std::string> add_root;
  std::vector<std::string> add_gate;
  std::vector<std::string> add_approve;
  std::vector<std::string> remove;
  std::string release_filter;
  std::string expires = kRootExpiresDefault;
  std::optional<std::uint32_t> root_threshold;
  std::optional<std::uint32_t> release_threshold;
  std::optional<std::uint32_t> approve_threshold;
};

Status add_keys(const std::vector<std::string>& paths, trust::RoleName role, const std::string& filter,
                RootChange& change) {
  for (const auto& path : paths) {
    INSTAR_TRY(const auto key, load_public_key(path));
    const auto name = path.substr(path.rfind('/') + 1);
    change.add.push_back({role, key, filter, name.substr(0, name.rfind('.'))});
  }
  return {};
}

Outcome<Exit> new_version(const NewVersionOptions& options, const Console& console) {
  INSTAR_TRY(const auto current, files::read_file(options.current, limits::kMessageBytesMax));
  RootChange change;
  INSTAR_TRY(change.expires_after_ms, parse_root_expiry(options.expires));
  change.root_threshold = options.root_threshold;
  change.release_threshold = options.release_threshold;
  change.approve_threshold = options.approve_threshold;
  INSTAR_CHECK(add_keys(options.add_root, trust::RoleName::root, "", change));
  INSTAR_CHECK(add_keys(options.add_release, trust::RoleName::release, options.release_filter, change));
  INSTAR_CHECK(add_keys(options.add_gate, trust::RoleName::gate, "", change));
  INSTAR_CHECK(add_keys(options.add_approve, trust::RoleName::approve, options.release_filter, change));
  for (const auto& text : options.remove) {
    INSTAR_TRY(const auto id, parse_key_id(text));
    change.remove.push_back(id);
  }
  INSTAR_TRY(const auto signers, load_secret_keys(options.keys));
  INSTAR_TRY(const auto envelope, next_root(current, change, signers, wall_now()));
  if (files::read_file(options.out, limits::kMessageBytesMax)) {
    return fail(Exit::invalid_input, Code::invalid_argument, options.out + " is there already: choose another name");
  }
  INSTAR_CHECK(files::write_file_atomic(options.out, envelope));
  INSTAR_TRY(const auto store, trust::TrustStore::from_pinned(envelope));
  console.text() << root_text(store.root()) << "\nNext: instar root publish " << options.out << "\n";
  console.document(root_json(store.root()));
  return Exit::ok;
}

void add_show(CLI::App& root, Context& context) {
  const auto path = std::make_shared<std::string>();
  auto* command = root.add_subcommand("show", "Show the keys, roles and thresholds of a root document");
  command->add_option("FILE", *path, "Root document, e.g. keys/root.instar")->required();
  add_json(*command, context);
  command->callback([path, &context] { context.run = [path, &context] { return show(*path, context.console); }; });
}

void add_publish_root(CLI::App& root, Context& context) {
  const auto path = std::make_shared<std::string>();
  const auto connection = std::make_shared<ConnectionOptions>();
  const auto older = std::make_shared<std::vector<std::string>>();
  auto* command = root.add_subcommand("publish",
                                      "Give a root document to the broker, and by it to every device\n\n"
                                      "Those that the broker lacks before it go first, where they are among "
                                      "--root-chain or beside FILE. One that is older "
                                      "than the broker's is kept for devices that were away.");
  command->add_option("FILE", *path, "Root document")->required();
  command
      ->add_option("--root-chain", *older, "Older root documents, or a folder of *.instar; those beside FILE are found")
      ->type_name("FILE")
      ->allow_extra_args(false);
  add_json(*command, context);
  add_connection(*command, *connection);
  command->callback([path, older, connection, &context] {
    context.run = [path, older, connection, &context] { return publish(*path, *older, *connection, context.console); };
  });
}

void add_new_version(CLI::App& root, Context& context) {
  const auto options = std::make_shared<NewVersionOptions>();
  auto* command = root.add_subcommand(
      "new-version",
      "Make the root document that follows CURRENT: add or remove keys, change thresholds\n\n"
      "Must be signed by enough root keys of the current document and of the new one: give them with --key.");
  command->add_option("CURRENT", options->current, "The newest root document")->required();
  command->add_option("-o,--out", options->out, "File for the new one, e.g. keys/root-2.instar")
      ->required()
      ->type_name("FILE");
  command->add_option("--key", options->keys, "Secret root key to sign with; repeat for several")
      ->required()
      ->type_name("FILE");
  command->add_option("--add-release-key", options->add_release, "Public key that may sign releases")
      ->type_name("FILE");
  command
      ->add_option("--release-groups", options->release_filter,
                   "Limit the added release and approve keys to these groups")
      ->type_name("FILTER");
  command->add_option("--add-root-key", options->add_root, "Public key that may sign changes of keys")
      ->type_name("FILE");
  command->add_option("--add-gate-key", options->add_gate, "Public key that a broker may sign gates with")
      ->type_name("FILE");
  command
      ->add_option("--add-approve-key", options->add_approve,
                   "Public key that may sign approvals of waves; with the first one, release keys do not any more")
      ->type_name("FILE");
  command->add_option("--remove-key", options->remove, "Id of a key to take out, as `instar root show` prints it")
      ->type_name("ID");
  command
      ->add_option("--expires", options->expires,
                   "After this time devices begin with nothing new until a next root document is there, or `never`")
      ->capture_default_str()
      ->type_name("TIME");
  command->add_option("--root-threshold", options->root_threshold, "New number of root signatures needed")
      ->type_name("N");
  command->add_option("--release-threshold", options->release_threshold, "New number of release signatures needed")
      ->type_name("N");
  command->add_option("--approve-threshold", options->approve_threshold, "New number of approve signatures needed")
      ->type_name("N");
  add_json(*command, context);
  command->callback(
      [options, &context] { context.run = [options, &context] { return new_version(*options, context.console); }; });
}

}  // namespace

void add(CLI::App& app, Context& context) {
  auto* root =
      app.add_subcommand("root", "Look at, change and publish the root document: whose signature counts for what");
  root->require_subcommand(1);
  add_show(*root, context);
  add_publish_root(*root, context);
  add_new_version(*root, context);
}

}  // namespace instar::publisher::root_command

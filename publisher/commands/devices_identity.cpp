// `instar devices replace` and `enrol`: who a device is.
#include <utility>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/signatures.hpp"
#include "files/files.hpp"
#include "publisher/broker/session.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/commands/signing.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/text.hpp"
#include "publisher/release/enrolment_list.hpp"
#include "publisher/release/keyring.hpp"

namespace instar::publisher::devices_command {
namespace {

constexpr std::size_t kTokenRandomBytes = 16;
constexpr std::size_t kListBytes = 64 * 1024 * 1024;

struct IdentityOptions {
  ConnectionOptions connection;
  std::string device;
  std::string key_id;
  std::string product;
  std::vector<std::string> groups;
  std::string public_key;
  bool token = false;
  std::string list;
  std::string tokens_out;
  std::string expires = "30d";
  SigningOptions signing;
};

Outcome<Exit> replace(const IdentityOptions& options, const Console& console) {
  Json parameters{{"device", options.device}};
  if (!options.key_id.empty()) {
    INSTAR_TRY(const auto id, parse_key_id(options.key_id));
    parameters["key_id"] = trust::key_text(id);
  }
  INSTAR_TRY(const auto session, connect(options.connection));
  INSTAR_CHECK(session->request("replaceDevice", parameters));
  console.text() << options.device << " is replaced: its old key is refused from now on, and "
                 << (options.key_id.empty() ? "the next key that it comes with"
                                            : "key " + options.key_id + ", when it comes,")
                 << " is taken as its own\n";
  console.document({{"device", options.device}, {"replaced", true}});
  return Exit::ok;
}

Outcome<std::vector<EnrolmentRow>> rows_of(const IdentityOptions& options) {
  if (!options.list.empty()) {
    if (!options.device.empty() || !options.product.empty() || !options.groups.empty() || !options.public_key.empty())
      return fail(Exit::usage, Code::invalid_argument, "--list names the devices, with all that is said of them");
    INSTAR_TRY(const auto text, files::read_file(options.list, kListBytes));
    auto rows = parse_enrolment_list(as_text(text));
    if (!rows) return fail(Failure(with_context(std::move(rows.error()), options.list)));
    return std::move(*rows);
  }
  if (options.device.empty() || options.product.empty() || options.groups.empty())
    return fail(Exit::usage, Code::invalid_argument,
                "name a device with --product and --group, or give a --list of devices");
  EnrolmentRow row;
  INSTAR_TRY(row.device, DeviceId::parse(options.device));
  if (!is_product(options.product))
    return fail(Code::invalid_argument, "product '" + options.product.substr(0, 80) + "' " + std::string(kProductRule));
  row.product = options.product;
  for (const auto& text : options.groups) {
    INSTAR_TRY(auto group, GroupPath::parse(text));
    row.groups.push_back(std::move(group));
  }
  if (options.public_key.empty() != options.token)
    return fail(Exit::usage, Code::invalid_argument, "give either --public-key or --token");
  if (!options.token) {
    INSTAR_TRY(row.key, read_device_key(options.public_key));
  }
  return std::vector{std::move(row)};
}

// One for each row without a key, else an empty text.
Result<std::vector<std::string>> make_tokens(const std::vector<EnrolmentRow>& rows) {
  std::vector<std::string> tokens;
  for (const auto& row : rows) {
    tokens.emplace_back();
    if (row.key.has_value()) continue;
    INSTAR_TRY(const auto random, files::random_bytes(kTokenRandomBytes));
    tokens.back() = to_hex(random);
  }
  return tokens;
}

// Adds them to the file, which nobody else can read, before any device is enrolled by one: they cannot be had again.
Status keep_tokens(const std::string& path, const std::vector<EnrolmentRow>& rows,
                   const std::vector<std::string>& tokens) {
  std::string text;
  if (const auto before = files::read_file(path, kListBytes); before.has_value()) {
    text = as_text(*before);
  } else if (before.error().code != Code::not_found) {
    return fail(before.error());
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!tokens[i].empty()) text += rows[i].device.str() + "," + tokens[i] + "\n";
  }
  return files::write_file_atomic(path, as_bytes(text), 0600);
}

Outcome<Exit> enrol(const IdentityOptions& options, const Console& console) {
  INSTAR_TRY(const auto rows, rows_of(options));
  INSTAR_TRY(const auto keys, load_secret_keys(options.signing.keys));
  INSTAR_TRY(const auto root_bytes, files::read_file(options.signing.root, limits::kMessageBytesMax));
  auto root = trust::TrustStore::from_pinned(root_bytes);
  if (!root) return fail(Failure(with_context(root.error(), options.signing.root)));
  const auto now = wall_now();
  WallMs expires;
  if (options.expires != "never") {
    INSTAR_TRY(const auto valid_ms, parse_duration_ms(options.expires));
    expires = now + valid_ms;
  }
  INSTAR_TRY(const auto session, connect(options.connection));
  INSTAR_TRY(const auto tokens, make_tokens(rows));
  if (!options.tokens_out.empty()) INSTAR_CHECK(keep_tokens(options.tokens_out, rows, tokens));
  Json enrolled = Json::array();
  bool demanded = true;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    const auto& token = tokens[i];
    const auto hash = token.empty() ? Hash256{} : trust::digest(as_bytes(token));
    INSTAR_TRY(const auto envelope,
               seal_enrolment({row.device, row.product, row.groups, row.key, hash, now, expires}, keys, *root));
    INSTAR_TRY(const auto data, session->request("enrolDevice", {{"enrolment", to_hex(envelope)}}));
    demanded = demanded && get_flag(data, "demanded");
    Json out{{"device", row.device.str()}};
    console.text() << row.device.str() << " is enrolled";
    if (!token.empty() && options.tokens_out.empty()) {
      out["token"] = token;
      console.text() << "; its one-time token: " << token;
    }
    console.text() << "\n";
    enrolled.push_back(std::move(out));
  }
  if (!demanded)
    console.text() << "the broker takes devices that are not enrolled, too (plugin_opt_enrolment is not `listed`)\n";
  console.document({{"devices", std::move(enrolled)}, {"demanded", demanded}});
  return Exit::ok;
}

}  // namespace

void add_replace(CLI::App& devices, Context& context) {
  const auto options = std::make_shared<IdentityOptions>();
  auto* command = devices.add_subcommand(
      "replace",
      "Let new hardware take a device's place\n\n"
      "The old key is refused from now on, whoever has it. The device keeps its name, its groups and its history.");
  command->add_option("DEVICE", options->device, "Its id")->required();
  command
      ->add_option("--key-id", options->key_id,
                   "Id of the new hardware's key; without it, the first other key is taken")
      ->type_name("HEX");
  add_json(*command, context);
  add_connection(*command, options->connection);
  command->callback(
      [options, &context] { context.run = [options, &context] { return replace(*options, context.console); }; });
}

void add_enrol(CLI::App& devices, Context& context) {
  const auto options = std::make_shared<IdentityOptions>();
  auto* command = devices.add_subcommand("enrol",
                                         "Say who may be a device\n\n"
                                         "A signed word to the broker, which takes nobody else where "
                                         "plugin_opt_enrolment is `listed`. A device is known by "
                                         "its public key, or by a one-time token that is put on it.");
  command->add_option("DEVICE", options->device, "Its id");
  command->add_option("--product", options->product, "What it is")->type_name("NAME");
  command->add_option("--group,-g", options->groups, "A group that it belongs to; repeat for several")
      ->type_name("PATH");
  command->add_option("--public-key", options->public_key, "Its key: 64 hex digits, or a public key file")
      ->type_name("KEY");
  command->add_flag("--token", options->token, "Make a one-time token for it");
  command->add_option("--list", options->list, "Many devices: lines DEVICE,PRODUCT,GROUP[;GROUP…][,PUBLIC KEY]")
      ->type_name("FILE");
  command->add_option("--tokens-out", options->tokens_out, "Add tokens to this file, and do not show them")
      ->type_name("FILE");
  command->add_option("--expires", options->expires, "The device must first come within this time, or `never`")
      ->type_name("TIME")
      ->capture_default_str();
  add_signing(*command, options->signing, "Root document, to check the signature as the broker will");
  add_json(*command, context);
  add_connection(*command, options->connection);
  command->callback([options, &context] {
    context.run = [options, &context]() -> Outcome<Exit> {
      INSTAR_TRY(const auto config, load_config(options->connection.config_path));
      INSTAR_CHECK(settle_signing(options->signing, config.release));
      return enrol(*options, context.console);
    };
  });
}

}  // namespace instar::publisher::devices_command

#include "publisher/broker/connection.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/base/limits.hpp"
#include "core/base/server_uri.hpp"
#include "core/base/text.hpp"
#include "files/files.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr std::string_view kDefaultBroker = "mqtt://localhost:1883";
constexpr std::string_view kDefaultPrefix = "instar/v1";
constexpr std::string_view kDefaultTimeout = "30s";

std::optional<std::string>* field_of(ConnectionOptions& options, std::string_view key) {
  if (key == "broker") return &options.broker;
  if (key == "username") return &options.username;
  if (key == "password-file") return &options.password_file;
  if (key == "ca") return &options.ca;
  if (key == "cert") return &options.certificate;
  if (key == "key-file") return &options.key_file;
  if (key == "prefix") return &options.prefix;
  if (key == "timeout") return &options.timeout;
  if (key == "allow-plain") return &options.allow_plain;
  return nullptr;
}

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

// Fills what `upper` does not set from `lower`.
ConnectionOptions merge(ConnectionOptions upper, ConnectionOptions lower) {
  for (const auto* key :
       {"broker", "username", "password-file", "ca", "cert", "key-file", "prefix", "timeout", "allow-plain"}) {
    auto* value = field_of(upper, key);
    if (!*value) *value = std::move(*field_of(lower, key));
  }
  return upper;
}

std::string default_config_path() {
  if (const auto base = environment("XDG_CONFIG_HOME")) return *base + "/instar/config";
  if (const auto home = environment("HOME")) return *home + "/.config/instar/config";
  return {};
}

constexpr const char* kKnownKeys =
    "broker, username, password-file, ca, cert, key-file, prefix, timeout, allow-plain, root, key, product, group";

// The keys that are not the connection's. false: none of them.
bool set_default(ReleaseDefaults& release, std::string_view key, const std::string& value) {
  if (key == "root") {
    release.root = value;
  } else if (key == "key") {
    release.keys.push_back(value);
  } else if (key == "product") {
    release.product = value;
  } else if (key == "group") {
    release.groups.push_back(value);
  } else {
    return false;
  }
  return true;
}

void resolve(std::string& path, const std::string& folder) {
  if (path.empty() || path.front() == '/') return;
  const auto home = environment("HOME");
  path = path.starts_with("~/") && home ? *home + path.substr(1) : folder + "/" + path;
}

void resolve_paths(ConfigFile& config, const std::string& file) {
  const auto slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash);
  auto& connection = config.connection;
  for (auto* path : {&connection.password_file, &connection.ca, &connection.certificate, &connection.key_file})
    if (*path) resolve(**path, folder);
  resolve(config.release.root, folder);
  for (auto& path : config.release.keys) resolve(path, folder);
}

Result<ServerUri> server_of(std::string_view broker) {
  auto server = parse_server_uri(broker.find("://") == std::string_view::npos ? "mqtt://" + std::string(broker)
                                                                              : std::string(broker));
  if (!server) return fail(with_context(server.error(), "broker"));
  return server;
}

Status check_secrets(const Connection& connection, ConnectionSecrets secrets) {
  if (connection.allows_plain) return {};
  INSTAR_TRY(const auto server, server_of(connection.broker));
  const auto checked = check_plain(server, secrets);
  if (checked) return {};
  return fail(checked.error().code, checked.error().message +
                                        ": write the broker as mqtts://HOST[:PORT], or give "
                                        "--allow-plain if nobody can listen on the way");
}

}  // namespace

Result<ConfigFile> parse_config(std::string_view text, const std::string& where) {
  ConfigFile config;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const auto end = text.find('\n');
    const auto line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    const std::string place = where + ", line " + std::to_string(number);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return fail(Code::malformed, place + ": expected KEY = VALUE");
    const auto key = trim(line.substr(0, equals));
    const std::string value(trim(line.substr(equals + 1)));
    if (auto* field = field_of(config.connection, key); field != nullptr) {
      *field = value;
    } else if (!set_default(config.release, key, value)) {
      return fail(Code::malformed, place + ": unknown key '" + std::string(key) + "' (known: " + kKnownKeys + ")");
    }
  }
  return config;
}

Result<ConfigFile> load_config(const std::string& chosen) {
  const std::string path = chosen.empty() ? default_config_path() : chosen;
  if (path.empty()) return ConfigFile{};
  const auto text = files::read_file(path, limits::kConfigBytesMax);
  if (!text && text.error().code == Code::not_found && chosen.empty()) return ConfigFile{};
  if (!text) return fail(with_context(text.error(), "config file"));
  auto config = parse_config(as_text(*text), path);
  if (config) resolve_paths(*config, path);
  return config;
}

Result<std::string> server_uri(std::string_view broker) {
  INSTAR_TRY(const auto server, server_of(broker));
  return server.str();
}

Result<Connection> settle(const ConnectionOptions& flags) {
  ConnectionOptions from_environment;
  from_environment.broker = environment("INSTAR_BROKER");
  from_environment.username = environment("INSTAR_USERNAME");
  from_environment.password_file = environment("INSTAR_PASSWORD_FILE");
  from_environment.prefix = environment("INSTAR_PREFIX");
  INSTAR_TRY(auto config, load_config(flags.config_path));
  const auto options = merge(merge(flags, std::move(from_environment)), std::move(config.connection));
  Connection connection;
  connection.broker = options.broker.value_or(std::string(kDefaultBroker));
  INSTAR_TRY(const auto server, server_of(connection.broker));
  connection.server_uri = server.str();
  connection.username = options.username.value_or("");
  if (options.password_file) {
    INSTAR_TRY(auto password, files::read_password_file(*options.password_file, limits::kConfigBytesMax));
    connection.password = std::move(password.text);
    connection.warning = std::move(password.warning);
    if (connection.username.empty())
      return fail(Code::invalid_argument, "a password needs a user name: set --username");
  }
  connection.ca = options.ca.value_or("");
  connection.certificate = options.certificate.value_or("");
  connection.key_file = options.key_file.value_or("");
  if (connection.certificate.empty() != connection.key_file.empty()) {
    return fail(Code::invalid_argument, "a client certificate needs both --cert and --key-file");
  }
  if (!connection.key_file.empty()) INSTAR_CHECK(files::check_private_key_file(connection.key_file));
  const auto allow_plain = options.allow_plain.value_or("no");
  if (allow_plain != "yes" && allow_plain != "no") return fail(Code::invalid_argument, "allow-plain must be yes or no");
  connection.allows_plain = allow_plain == "yes";
  INSTAR_CHECK(check_secrets(connection, {.password = !connection.password.empty(),
                                          .tls_files = !connection.ca.empty() || !connection.certificate.empty()}));
  connection.prefix = options.prefix.value_or(std::string(kDefaultPrefix));
  INSTAR_TRY(connection.timeout_ms, parse_duration_ms(options.timeout.value_or(std::string(kDefaultTimeout))));
  if (connection.timeout_ms < 1) return fail(Code::invalid_argument, "--timeout must be longer than nothing");
  return connection;
}

Status check_password_of_others(const Connection& connection) {
  return check_secrets(connection, {.password = true});
}

mqtt::Options mqtt_options(const Connection& connection, const std::string& client_id) {
  mqtt::Options options;
  options.server_uri = connection.server_uri;
  options.client_id = client_id;
  options.username = connection.username;
  options.password = connection.password;
  options.ca_file = connection.ca;
  options.certificate_file = connection.certificate;
  options.key_file = connection.key_file;
  options.clean_session = true;
  options.reconnect_ms_min = 200;
  options.reconnect_ms_max = 5'000;
  // Half of the time is left to find out why.
  options.connect_timeout_s =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(connection.timeout_ms / 2'000, 1, 120));
  options.queue_events_max = 4096;
  return options;
}

}  // namespace instar::publisher

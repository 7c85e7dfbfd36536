#include "mqtt/option_checks.hpp"

#include <unistd.h>

namespace instar::mqtt {

Status check_options(const Options& options) {
  if (options.server_uri.find("://") == std::string::npos)
    return fail(Code::invalid_argument, "server \"" + options.server_uri +
                                            "\" is not a URI: write tcp://HOST:1883, or ssl://HOST:8883 for TLS");
  for (const std::string& file : {options.ca_file, options.certificate_file, options.key_file})
    if (!file.empty() && ::access(file.c_str(), R_OK) != 0)
      return fail(Code::invalid_argument,
                  "cannot read " + file + ", named for the connection to " + options.server_uri);
  if (options.keepalive_s == 0 || options.keepalive_s > 65535)
    return fail(Code::invalid_argument, "keepalive must be 1 to 65535 seconds");
  return {};
}

bool uses_tls(const Options& options) {
  return options.server_uri.starts_with("ssl://") || options.server_uri.starts_with("mqtts://");
}

std::string_view endpoint_of(std::string_view server_uri) {
  const auto scheme = server_uri.find("://");
  return scheme == std::string_view::npos ? server_uri : server_uri.substr(scheme + 3);
}

}  // namespace instar::mqtt

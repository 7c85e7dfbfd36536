// Checks of the options, and what an adapter derives from them.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "mqtt/client.hpp"

namespace instar::mqtt {

// Errors: invalid_argument, for options that no broker could accept. Also checks the files that are named.
[[nodiscard]] Status check_options(const Options& options);

// ssl:// or mqtts://
[[nodiscard]] bool uses_tls(const Options& options);

// Where the broker is, for a message: HOST:PORT without the scheme.
[[nodiscard]] std::string_view endpoint_of(std::string_view server_uri);

}  // namespace instar::mqtt

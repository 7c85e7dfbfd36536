// The names in a client's certificate.
#pragma once

#include <string_view>

struct mosquitto;

namespace instar::broker {

// The client has shown a certificate, which the broker has verified, and its common name or one of its alternative
// names (DNS, URI, e-mail) is exactly `name`. Some microseconds.
[[nodiscard]] bool is_certified(const mosquitto* client, std::string_view name) noexcept;

}  // namespace instar::broker

#include "core/base/error.hpp"

namespace instar {

std::string_view code_name(Code code) noexcept {
  switch (code) {
    case Code::ok: return "ok";
    case Code::invalid_argument: return "invalid_argument";
    case Code::malformed: return "malformed";
    case Code::too_large: return "too_large";
    case Code::bad_signature: return "bad_signature";
    case Code::untrusted_key: return "untrusted_key";
    case Code::expired: return "expired";
    case Code::stale: return "stale";
    case Code::not_found: return "not_found";
    case Code::corrupt: return "corrupt";
    case Code::no_space: return "no_space";
    case Code::io: return "io";
    case Code::unsupported: return "unsupported";
    case Code::unavailable: return "unavailable";
    case Code::refused: return "refused";
    case Code::unhealthy: return "unhealthy";
    case Code::internal: return "internal";
  }
  return "unknown";
}

Error with_context(Error error, std::string_view context) {
  error.message = std::string(context) + ": " + error.message;
  return error;
}

}  // namespace instar

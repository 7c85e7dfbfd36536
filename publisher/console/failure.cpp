#include "publisher/console/failure.hpp"

namespace instar::publisher {

Exit exit_of(Code code) noexcept {
  switch (code) {
    case Code::ok: return Exit::ok;
    case Code::unavailable: return Exit::unreachable;
    case Code::refused: return Exit::refused;
    case Code::invalid_argument:
    case Code::malformed:
    case Code::too_large:
    case Code::bad_signature:
    case Code::untrusted_key:
    case Code::expired:
    case Code::stale:
    case Code::not_found:
    case Code::corrupt:
    case Code::unsupported: return Exit::invalid_input;
    case Code::no_space:
    case Code::io:
    case Code::unhealthy:
    case Code::internal: return Exit::failed;
  }
  return Exit::failed;
}

}  // namespace instar::publisher

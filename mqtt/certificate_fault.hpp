// What OpenSSL finds wrong with a broker's certificate, as a fault with its words.
#pragma once

#include <string>
#include <vector>

#include "mqtt/fault.hpp"

struct x509_st;  // X509 of OpenSSL

namespace instar::mqtt {

// One thing that is wrong with one certificate of the chain. The certificate is kept alive by whoever has this.
struct VerifyFault {
  int error = 0;  // X509_V_ERR_…
  int depth = 0;  // 0: the broker's own
  x509_st* certificate = nullptr;
};

// The fault that explains most of them. `unknown`: there are none. `host`: what the broker was called.
[[nodiscard]] Finding certificate_finding(const std::vector<VerifyFault>& faults, const std::string& host);

}  // namespace instar::mqtt

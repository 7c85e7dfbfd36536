#include "mqtt/certificate_fault.hpp"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <initializer_list>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "core/base/time.hpp"

namespace instar::mqtt {
namespace {

// A clock before 2020 was never set: no certificate that a broker shows is older than this program.
constexpr std::time_t kNoClock = 1'577'836'800;
constexpr std::size_t kNamesShown = 4;

WallMs wall_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return {std::int64_t{::timegm(&parts)} * 1000};
}

WallMs now() {
  return {std::int64_t{std::time(nullptr)} * 1000};
}

std::string subject_text(X509_NAME* name) {
  char text[256] = {};
  if (name == nullptr || X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof text) <= 0)
    return name == nullptr || X509_NAME_oneline(name, text, sizeof text) == nullptr ? "" : clean_line(text);
  return clean_line(text);
}

std::string ip_text(const ASN1_OCTET_STRING* ip) {
  const auto* const bytes = ASN1_STRING_get0_data(ip);
  std::string out;
  if (ASN1_STRING_length(ip) == 4) {
    for (int i = 0; i < 4; ++i) out += (i == 0 ? "" : ".") + std::to_string(bytes[i]);
  } else {
    out = to_hex(ByteView(bytes, static_cast<std::size_t>(ASN1_STRING_length(ip))));
  }
  return out;
}

// The hosts that the certificate is for.
std::string names_of(X509* certificate) {
  std::vector<std::string> names;
  auto* const list = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(list); ++i) {
    const auto* const name = sk_GENERAL_NAME_value(list, i);
    if (name->type == GEN_DNS)
      names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                         static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    if (name->type == GEN_IPADD) names.push_back(ip_text(name->d.iPAddress));
  }
  GENERAL_NAMES_free(list);
  if (names.empty()) names.push_back(subject_text(X509_get_subject_name(certificate)));
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < kNamesShown; ++i) out += (i == 0 ? "" : ", ") + clean_line(names[i]);
  return names.size() > kNamesShown ? out + ", and others" : out;
}

}  // namespace

// With a clock that is wrong all other things may be right.
Finding certificate_finding(const std::vector<VerifyFault>& faults, const std::string& host) {
  const auto first = [&](std::initializer_list<int> errors) -> const VerifyFault* {
    for (const auto& one : faults)
      if (std::ranges::find(errors, one.error) != errors.end()) return &one;
    return nullptr;
  };
  const std::string today = utc_text(now());
  const auto* const early = first({X509_V_ERR_CERT_NOT_YET_VALID});
  if (early != nullptr && std::time(nullptr) < kNoClock) return found(Fault::clock_lost, {{"now", today}});
  if (const auto* one = first({X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT}))
    return found(Fault::self_signed, {{"issuer", subject_text(X509_get_subject_name(one->certificate))}});
  if (const auto* one = first({X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
                               X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
                               X509_V_ERR_CERT_SIGNATURE_FAILURE}))
    return found(Fault::unknown_ca, {{"issuer", subject_text(X509_get_issuer_name(one->certificate))}});
  if (const auto* one = first({X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH}))
    return found(Fault::other_host, {{"names", names_of(one->certificate)}, {"host", host}});
  if (const auto* one = first({X509_V_ERR_CERT_HAS_EXPIRED})) {
    const auto ended = utc_text(wall_of(X509_get0_notAfter(one->certificate)));
    if (one->depth == 0) return found(Fault::certificate_expired, {{"time", ended}, {"now", today}});
    const auto name = subject_text(X509_get_subject_name(one->certificate));
    return found(Fault::ca_expired, {{"issuer", name}, {"time", ended}, {"now", today}});
  }
  if (early != nullptr) {
    const auto begins = utc_text(wall_of(X509_get0_notBefore(early->certificate)));
    return found(Fault::certificate_not_yet_valid, {{"time", begins}, {"now", today}});
  }
  if (faults.empty()) return {};
  return found(Fault::certificate_refused, {{"reason", X509_verify_cert_error_string(faults.front().error)}});
}

}  // namespace instar::mqtt

#include "broker-plugin/mosquitto/certificate.hpp"

#include <mosquitto_broker.h>
#include <openssl/x509v3.h>

#include <memory>

namespace instar::broker {
namespace {

struct FreeCertificate {
  void operator()(X509* certificate) const noexcept { ::X509_free(certificate); }
};
struct FreeNames {
  void operator()(GENERAL_NAMES* names) const noexcept { ::GENERAL_NAMES_free(names); }
};

// Byte for byte: a NUL in a name of the certificate ends nothing.
bool says(const ASN1_STRING* text, std::string_view name) noexcept {
  unsigned char* bytes = nullptr;
  const int size = ::ASN1_STRING_to_UTF8(&bytes, text);
  if (size < 0) return false;
  const bool same = std::string_view(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)) == name;
  OPENSSL_free(bytes);
  return same;
}

bool is_common_name(const X509& certificate, std::string_view name) noexcept {
  const auto* subject = ::X509_get_subject_name(&certificate);
  for (int at = -1; (at = ::X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
    if (says(::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(subject, at)), name)) return true;
  }
  return false;
}

bool is_alternative_name(const X509& certificate, std::string_view name) noexcept {
  const std::unique_ptr<GENERAL_NAMES, FreeNames> names(
      static_cast<GENERAL_NAMES*>(::X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (names == nullptr) return false;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* value = ::GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type);
    if (type != GEN_DNS && type != GEN_URI && type != GEN_EMAIL) continue;
    if (says(static_cast<const ASN1_STRING*>(value), name)) return true;
  }
  return false;
}

}  // namespace

bool is_certified(const mosquitto* client, std::string_view name) noexcept {
  if (client == nullptr || name.empty()) return false;
  const std::unique_ptr<X509, FreeCertificate> certificate(static_cast<X509*>(::mosquitto_client_certificate(client)));
  return certificate != nullptr && (is_common_name(*certificate, name) || is_alternative_name(*certificate, name));
}

}  // namespace instar::broker

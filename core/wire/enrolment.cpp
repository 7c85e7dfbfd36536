#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"
#include "schemas/enrolment_generated.h"

namespace instar::wire {
namespace {

Result<Enrolment> read_enrolment(const fb::Enrolment& from) {
  INSTAR_CHECK(check_format(from.format()));
  Enrolment enrolment;
  INSTAR_TRY(enrolment.device, read_device(from.device(), "device"));
  INSTAR_TRY(enrolment.product, read_product(from.product()));
  INSTAR_TRY(enrolment.groups, read_groups(from.groups(), "groups", 1));
  if (const auto* key = from.public_key(); key != nullptr) {
    INSTAR_TRY(enrolment.key, read_in("public_key", trust::PublicKey::from_bytes(ByteView(key->data(), key->size()))));
  }
  enrolment.token_hash = read_hash(from.token_hash());
  if (enrolment.key.has_value() != enrolment.token_hash.is_zero())
    return bad_field("public_key", "or a token hash must be there, and not both");
  INSTAR_TRY(enrolment.issued, read_time(from.issued_ms(), "issued_ms"));
  INSTAR_TRY(enrolment.expires, read_time(from.expires_ms(), "expires_ms"));
  return enrolment;
}

}  // namespace

Bytes encode(const Enrolment& enrolment) {
  FlatBuilder builder(256);
  const auto device = builder.CreateString(enrolment.device.str());
  const auto product = builder.CreateString(enrolment.product);
  const auto groups = write_groups(builder, enrolment.groups);
  const flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> key =
      enrolment.key.has_value() ? builder.CreateVector(enrolment.key->bytes.data(), enrolment.key->bytes.size()) : 0;
  const auto token_hash = flat_hash(enrolment.token_hash);
  builder.Finish(fb::CreateEnrolment(builder, 1, device, product, groups, key,
                                     enrolment.token_hash.is_zero() ? nullptr : &token_hash,
                                     flat_time(enrolment.issued), flat_time(enrolment.expires)),
                 fb::EnrolmentIdentifier());
  return flat::take(builder);
}

Result<Enrolment> decode_enrolment(ByteView payload) {
  INSTAR_TRY(const auto from, flat::open<fb::Enrolment>(payload, "enrolment", fb::EnrolmentIdentifier()));
  return read_in("enrolment", read_enrolment(*from));
}

}  // namespace instar::wire

#include "publisher/release/enrolment_list.hpp"

#include <utility>

#include "core/base/limits.hpp"
#include "core/base/text.hpp"
#include "core/trust/envelope.hpp"
#include "publisher/console/text.hpp"
#include "publisher/release/keyring.hpp"

namespace instar::publisher {
namespace {

std::vector<std::string_view> cut_at(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(trim(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

Result<trust::PublicKey> key_in(std::string_view hex) {
  Bytes bytes;
  if (hex.size() != 64 || !from_hex(hex, bytes))
    return fail(Code::malformed, "a public key is 64 hex digits, as `instar devices show` prints it");
  return trust::PublicKey::from_bytes(bytes);
}

Result<EnrolmentRow> parse_row(std::string_view line) {
  const auto fields = cut_at(line, ',');
  if (fields.size() < 3 || fields.size() > 4)
    return fail(Code::malformed, "expected DEVICE,PRODUCT,GROUP[;GROUP…][,PUBLIC KEY]");
  EnrolmentRow row;
  INSTAR_TRY(row.device, DeviceId::parse(fields[0]));
  if (!is_product(fields[1]))
    return fail(Code::invalid_argument,
                "product '" + std::string(fields[1].substr(0, 80)) + "' " + std::string(kProductRule));
  row.product = fields[1];
  for (const auto group : cut_at(fields[2], ';')) {
    INSTAR_TRY(auto path, GroupPath::parse(group));
    row.groups.push_back(std::move(path));
  }
  if (fields.size() == 4 && !fields[3].empty()) {
    INSTAR_TRY(row.key, key_in(fields[3]));
  }
  return row;
}

}  // namespace

Result<std::vector<EnrolmentRow>> parse_enrolment_list(std::string_view text) {
  std::vector<EnrolmentRow> rows;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const auto end = text.find('\n');
    const auto line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#' || (number == 1 && line.starts_with("device,"))) continue;
    auto row = parse_row(line);
    if (!row) return fail(with_context(std::move(row.error()), "line " + std::to_string(number)));
    rows.push_back(std::move(*row));
    if (rows.size() > limits::kDevicesMax)
      return fail(Code::too_large, "a list has at most " + std::to_string(limits::kDevicesMax) + " devices");
  }
  return rows;
}

Result<trust::PublicKey> read_device_key(const std::string& text) {
  Bytes bytes;
  if (text.size() == 64 && from_hex(text, bytes)) return trust::PublicKey::from_bytes(bytes);
  return load_public_key(text);
}

Result<Bytes> seal_enrolment(const wire::Enrolment& enrolment, std::span<const trust::SecretKey> keys,
                             const trust::TrustStore& root) {
  auto payload = wire::encode(enrolment);
  // As the broker will read it: a name that is none shows here.
  INSTAR_TRY(const auto read, wire::decode_enrolment(payload));
  auto envelope = trust::seal(trust::Kind::enrolment, payload, keys);
  INSTAR_TRY(const auto opened, root.open_enrolment(envelope));
  for (const auto& group : read.groups) {
    auto status = root.reaches(opened, group);
    if (!status)
      return fail(with_context(std::move(status.error()),
                               "device " + enrolment.device.str() + " would get group " + group.str()));
  }
  return envelope;
}

}  // namespace instar::publisher

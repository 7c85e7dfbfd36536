// Devices to be enrolled: a list of them as an operator keeps it, and the signed word on each.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/trust/keys.hpp"
#include "core/trust/root.hpp"
#include "core/wire/messages.hpp"

namespace instar::publisher {

struct EnrolmentRow {
  DeviceId device;
  std::string product;
  std::vector<GroupPath> groups;
  std::optional<trust::PublicKey> key;  // nullopt: by a one-time token
};

// Lines "DEVICE,PRODUCT,GROUP[;GROUP…][,PUBLIC KEY]" and '#' comments; a first line that begins with "device," is a
// heading. A public key is 64 hex digits. Errors: malformed (the line is named), too_large.
[[nodiscard]] Result<std::vector<EnrolmentRow>> parse_enrolment_list(std::string_view text);
// 64 hex digits, or the path of a public key file. Errors: those of the file and of its form.
[[nodiscard]] Result<trust::PublicKey> read_device_key(const std::string& text);

// Signs it, and checks as the broker does that the keys reach the groups. Errors: untrusted_key.
[[nodiscard]] Result<Bytes> seal_enrolment(const wire::Enrolment& enrolment, std::span<const trust::SecretKey> keys,
                                           const trust::TrustStore& root);

}  // namespace instar::publisher

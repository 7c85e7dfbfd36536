#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"
#include "schemas/assignment_generated.h"

namespace instar::wire {
namespace {

Result<Assignment> read_assignment(const fb::Assignment& from) {
  INSTAR_CHECK(check_format(from.format()));
  Assignment assignment;
  INSTAR_TRY(assignment.device, read_device(from.device(), "device"));
  INSTAR_TRY(assignment.groups, read_groups(from.groups(), "groups", 0));
  INSTAR_TRY(assignment.issued, read_time(from.issued_ms(), "issued_ms"));
  return assignment;
}

}  // namespace

Bytes encode(const Assignment& assignment) {
  FlatBuilder builder(256);
  const auto device = builder.CreateString(assignment.device.str());
  const auto groups = assignment.groups.empty() ? 0 : write_groups(builder, assignment.groups);
  builder.Finish(fb::CreateAssignment(builder, 1, device, groups, flat_time(assignment.issued)),
                 fb::AssignmentIdentifier());
  return flat::take(builder);
}

Result<Assignment> decode_assignment(ByteView payload) {
  INSTAR_TRY(const auto from, flat::open<fb::Assignment>(payload, "assignment", fb::AssignmentIdentifier()));
  return read_in("assignment", read_assignment(*from));
}

}  // namespace instar::wire

// Internal to core/wire, for .cpp files only: what hello and report share.
#pragma once

#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"
#include "schemas/attempt_generated.h"

namespace instar::wire {

// Absent reads as nullopt.
[[nodiscard]] Result<std::optional<RevisionInfo>> read_revision(const fb::RevisionInfo* from, std::string_view field);
[[nodiscard]] flatbuffers::Offset<fb::RevisionInfo> write_revision(FlatBuilder& builder,
                                                                   const std::optional<RevisionInfo>& info);

}  // namespace instar::wire

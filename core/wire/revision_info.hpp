// Internal to core/wire, for .cpp files only: a revision, as a description has it.
#pragma once

#include "core/wire/description.hpp"
#include "core/wire/fields.hpp"
#include "schemas/attempt_generated.h"

namespace instar::wire {

// Absent reads as nullopt.
[[nodiscard]] Result<std::optional<RevisionInfo>> read_revision(const fb::RevisionInfo* from, std::string_view field);
[[nodiscard]] flatbuffers::Offset<fb::RevisionInfo> write_revision(FlatBuilder& builder,
                                                                   const std::optional<RevisionInfo>& info);

}  // namespace instar::wire

// Internal to core/wire, for .cpp files only: the description as a table of a message.
#pragma once

#include "core/wire/description.hpp"
#include "core/wire/fields.hpp"
#include "schemas/description_generated.h"

namespace instar::wire {

[[nodiscard]] Result<Description> read_description(const fb::Description& from);
[[nodiscard]] flatbuffers::Offset<fb::Description> write_description(FlatBuilder& builder,
                                                                     const Description& description);

}  // namespace instar::wire

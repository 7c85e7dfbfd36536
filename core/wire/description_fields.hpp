// Internal to core/wire, for .cpp files only: the fields of a hello that are the description.
#pragma once

#include "core/wire/description.hpp"
#include "core/wire/fields.hpp"
#include "schemas/hello_generated.h"

namespace instar::wire {

[[nodiscard]] Result<Description> read_description(const fb::Hello& from);

// FlatBuffers wants texts and lists written before the table that names them: make one before the table is begun, and
// add it to the table.
class DescriptionWriter {
 public:
  // `description` must outlive it.
  DescriptionWriter(FlatBuilder& builder, const Description& description);
  void add_to(fb::HelloBuilder& table) const;

 private:
  const Description& description_;
  FlatString product_;
  flatbuffers::Offset<FlatStrings> groups_;
  FlatString architecture_;
  FlatString kernel_;
  FlatString client_version_;
  flatbuffers::Offset<fb::RevisionInfo> running_;
  flatbuffers::Offset<fb::RevisionInfo> previous_;
  flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> pack_formats_;
  flatbuffers::Offset<FlatStrings> degraded_;
  flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> image_formats_;
  flatbuffers::Offset<FlatStrings> handlers_;
};

}  // namespace instar::wire

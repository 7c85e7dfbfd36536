// Where the content of an artifact came from, when that was an archive or a container image, and what the image says
// of the container. It stands in artifact.json ("origin", docs/formats/pack-file.md).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"
#include "publisher/console/console.hpp"

namespace instar::publisher {

// How the image wants to be run. A release takes from it what the operator does not say.
struct ImageContainer {
  std::vector<std::string> init;
  std::vector<wire::Setting> settings;
  std::vector<wire::Volume> volumes;
  std::optional<wire::Probe> probe;
};

struct Origin {
  std::string file;    // base name of what was packed
  std::string format;  // "tar", "cpio"; of an image: "oci", "docker-archive", "docker-dir"
  // Of an image:
  std::string reference;  // its name in the archive, or the first of them
  std::string index_digest;
  std::string manifest_digest;
  std::string config_digest;
  std::string platform;
  std::string created;
  std::vector<std::pair<std::string, std::string>> labels;
  ImageContainer container;
  // What an operator should know: ports, and what cannot be kept, a sentence each.
  std::vector<std::string> remarks;

  [[nodiscard]] bool is_image() const noexcept { return !config_digest.empty(); }
};

[[nodiscard]] Json origin_json(const Origin& origin);
// Errors: malformed; they name the place.
[[nodiscard]] Result<Origin> parse_origin(const Json& json, const std::string& where);
// Gives a container what the image says and `container` leaves open: init, single settings and variables, volumes,
// probe. A payload of a handler stays as it is.
void complete_container(const ImageContainer& image, wire::Container& container);
// Lines for people, without the remarks.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> origin_fields(const Origin& origin);
// What a release says of itself when the operator says nothing: the image's title and version, revision and source.
// Empty: the image has none of these labels.
[[nodiscard]] std::string notes_of(const Origin& origin);
// The remarks, a line each.
[[nodiscard]] std::string remarks_text(const Origin& origin);

}  // namespace instar::publisher

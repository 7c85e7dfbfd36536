// A release as an operator describes it, and the manifest that it becomes. The JSON form is in docs/operator.md.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"
#include "publisher/artifact/artifact_folder.hpp"

namespace instar::publisher {

struct ContainerSpec {
  std::string artifact_path;
  wire::Container container;  // its artifact id is filled in by make_manifest()
};

struct ReleaseSpec {
  std::string product;
  std::string release;
  std::optional<std::uint64_t> sequence;  // absent: one above the highest that the broker knows
  std::vector<GroupPath> groups;
  std::int64_t expires_after_ms = 0;   // 0 = never
  std::int64_t deadline_after_ms = 0;  // devices begin within this time after publishing; 0 = at any time
  std::vector<ContainerSpec> containers;
  wire::Requirements requirements;
  wire::Policy policy;  // the salt is filled in by make_manifest()
  std::string notes;
};

// `folder`: relative artifact paths start there. Errors: malformed, invalid_argument; they name the place.
[[nodiscard]] Result<ReleaseSpec> parse_release(std::string_view json, const std::string& where,
                                                const std::string& folder);
[[nodiscard]] Result<ReleaseSpec> load_release(const std::string& path);

// "lxc.key=value", "name:/path".
[[nodiscard]] Result<wire::Setting> parse_setting(std::string_view text);
[[nodiscard]] Result<wire::Volume> parse_volume(std::string_view text);

// Artifact folders by the path that was given for them. Each is opened once. What a container of `spec` leaves open,
// and the notes, come from the container image that its artifact was made of, if it was. Errors: those of
// open_artifact(); invalid_argument (a volume that devices would refuse: over /proc, /sys or /dev, or through a link or
// a file of its tree).
using ArtifactFolders = std::map<std::string, ArtifactFolder>;
[[nodiscard]] Result<ArtifactFolders> open_artifacts(ReleaseSpec& spec);

// `salt`: 16 random bytes. Errors: invalid_argument for everything that decode_manifest() would refuse.
[[nodiscard]] Result<wire::Manifest> make_manifest(const ReleaseSpec& spec, const ArtifactFolders& artifacts,
                                                   std::uint64_t sequence, WallMs now, Bytes salt);

// Signs the manifest, and then checks it for every group in the same way as a device that has `root`.
// Errors: untrusted_key (a key is not valid for a group, or too few keys), too_large (for one message).
[[nodiscard]] Result<Bytes> sign_manifest(const wire::Manifest& manifest, std::span<const trust::SecretKey> keys,
                                          const trust::TrustStore& root);

// Every field, for --json and for people.
[[nodiscard]] Json manifest_json(const wire::Manifest& manifest);
[[nodiscard]] std::string manifest_text(const wire::Manifest& manifest, WallMs now);

}  // namespace instar::publisher

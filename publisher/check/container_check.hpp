// Whether the containers of a release could start from their trees, before anything is sent.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/wire/manifest.hpp"
#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/check/machine.hpp"
#include "publisher/check/tree_paths.hpp"

namespace instar::publisher {

// For which machine a program of a release is.
struct ProgramMachine {
  std::string program;  // "/sbin/init of container 'web'"
  Machine machine;
};

struct TreeFindings {
  std::vector<std::string> wrong;  // why the release cannot run: sentences with the way out
  std::vector<std::string> notes;  // what may be wrong, or was not looked into
  std::vector<ProgramMachine> machines;
};

struct ContainerOfTree {
  const wire::Container& container;
  const ArtifactFolder& folder;
};

// One container and the entries of its tree: init and probe. Errors: io, corrupt.
[[nodiscard]] Status check_container(const wire::Container& container, const std::vector<artifact::Entry>& entries,
                                     TreeContent& content, TreeFindings& findings);

// All containers of a release. Payloads of handlers are no containers, and images are not looked into. Errors: those of
// read_index_of() and PackContent.
[[nodiscard]] Result<TreeFindings> check_containers(std::span<const ContainerOfTree> containers,
                                                    const wire::Requirements& requirements);

// The same of a tree that nobody has named a container for: what its container image says, or else its /sbin/init, if
// there is one. Empty when it would start, when there is none, or when the folder holds an image.
[[nodiscard]] Result<std::vector<std::string>> check_default_init(const ArtifactFolder& folder);

// Refuses a release of which something is wrong. Errors: invalid_argument, with all sentences.
[[nodiscard]] Status refuse_if_wrong(const std::vector<std::string>& wrong);

}  // namespace instar::publisher

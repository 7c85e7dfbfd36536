// Checks the revisions on disk against the indexes that their signed manifests name, for `instar-device verify`. It
// only reads, and works with and without the daemon.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/revision/state_codec.hpp"

namespace instar::device {

struct TreeVerdict {
  std::uint64_t entries = 0;  // checked
  std::uint64_t bytes = 0;    // hashed
  std::uint64_t faults = 0;
  std::string first_fault;  // path and what is wrong with it
};

// Checks every entry of revisions/<n>/artifacts/<hash>: kind, content, mode, owner, xattrs, link target; and that there
// is nothing else. What does not match is a fault of the verdict. Errors: not_found and io of the folder or of its
// index.
[[nodiscard]] Result<TreeVerdict> verify_artifact(const std::string& folder, const ArtifactId& artifact);

struct RevisionVerdict {
  std::string role;  // running, previous, candidate, factory
  std::string release;
  std::uint32_t revision = 0;
  TreeVerdict tree;  // of all its artifacts
};

// Checks the running revision, the one before it, and the candidate once it is complete (trying, committing). A missing
// folder is a fault.
[[nodiscard]] std::vector<RevisionVerdict> verify_revisions(const std::string& state_dir,
                                                            const revision::DeviceState& state);

// One JSON document, described in docs/device.md. `ok`: something runs, and nothing has a fault.
[[nodiscard]] bool is_sound(const std::vector<RevisionVerdict>& verdicts) noexcept;
[[nodiscard]] std::string verdicts_json(const std::vector<RevisionVerdict>& verdicts);
[[nodiscard]] std::string verdicts_text(const std::vector<RevisionVerdict>& verdicts);

}  // namespace instar::device

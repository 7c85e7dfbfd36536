// From the config of an image to the container that devices run.
#pragma once

#include "core/base/result.hpp"
#include "publisher/archive/merged_tree.hpp"
#include "publisher/archive/origin.hpp"
#include "publisher/console/console.hpp"

namespace instar::publisher {

// Fills labels, container and remarks of `origin` from the document of a config. `tree`: its files; a working directory
// that is not there is made in it. Errors: malformed, refused (a user that the tree does not know); they name the
// field.
[[nodiscard]] Status take_image_config(const Json& document, MergedTree& tree, Origin& origin);

}  // namespace instar::publisher

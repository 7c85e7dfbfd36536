// Puts files of the host into a container's /etc. This is a part of instar-lxc, which LXC calls in the container's own
// mount namespace when the container's root is there and nothing of the container runs yet.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "device-client/process/container_files.hpp"

namespace instar::device {

// Gives one file to the container whose root is `root`, an open folder; /etc is made where there is none. No link is
// followed, so nothing outside `root` is touched: where /etc is a link nothing is given, and where the file is one it
// stays, but for `Giving::bind`, which puts a file in its place. What is neither stays. A source that is not there or
// empty is not given. Errors: io, too_large (a copy over kHostNamesBytesMax).
[[nodiscard]] Status provide_file(int root, const ContainerFile& file);

// Gives all of them. What cannot be given is no reason not to start a container: returns why, one text for each.
[[nodiscard]] std::vector<std::string> provide_files(const std::vector<ContainerFile>& files, const std::string& root);

}  // namespace instar::device

// Shows what a file of ours is, and all that is in it.
#pragma once

#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/trust/root.hpp"
#include "publisher/console/console.hpp"

namespace instar::publisher {

struct InspectOptions {
  std::string path;        // a file, or an artifact folder
  std::string root_path;   // to verify manifests, gates and later roots; empty = signatures are listed only
  std::string device_key;  // public key file, to verify a device's hello or report
  // Directory tree or artifact folder that is a delta's base. With it, `contents` decodes the delta.
  std::string base;
  bool contents = false;  // decode every chunk of a pack; list every entry of an index
};

struct Inspection {
  Json json;
  std::string text;
  // Set when a signature or content was checked and is wrong. json and text say so too.
  std::optional<Error> problem;
};

// Errors: not_found, io, malformed (it is no kind of file that this command knows).
[[nodiscard]] Result<Inspection> inspect(const InspectOptions& options, WallMs now);

}  // namespace instar::publisher

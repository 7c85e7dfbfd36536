// The command line of `instar publish`, and the release that it describes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "publisher/release/release.hpp"

namespace instar::publisher {

struct PublishOptions {
  std::string spec_path;
  std::vector<std::string> groups;
  std::string product;
  std::string release;
  std::string image;                    // what is packed for the one container; its artifact goes to `artifact`
  std::string artifact;                 // of the one container
  std::vector<std::string> containers;  // NAME=OUT
  std::vector<std::string> init;
  std::vector<std::string> probe;
  std::string settle;
  std::vector<std::string> settings;
  std::vector<std::string> volumes;
  std::vector<std::string> architectures;
  std::string expires;
  std::string notes;
  std::string sequence;  // "auto" or a number
  bool metered_fallback = false;
  std::vector<std::string> waves;
  std::string failures_max;
  std::string on_failure;
  std::uint32_t in_flight = 0;
  std::uint32_t starts_per_minute = 0;
  std::uint32_t attempts = 0;
  std::string start_within;
  std::string stale_after;
  std::vector<std::string> windows;
  bool download_any_time = false;
  bool consent = false;
  bool unmetered_only = false;
  std::uint32_t fall_back_stops = 0;
  bool revert_allowed = false;
  std::string approval;
  std::string device_bytes;
  std::string rollout_bytes;
  std::string rate;
  // Of the config file: count where neither the options nor the release file says any.
  std::string product_default;
  std::vector<std::string> groups_default;
};

// What has to be said and is not, where there is no release file; empty when nothing lacks. It names the option.
[[nodiscard]] std::string missing_option(const PublishOptions& options);

// The release of the spec file, with the options of the command line over it; without a file, the release of the
// options alone. Everything that can be checked without the broker is an error here: invalid_argument, malformed.
[[nodiscard]] Result<ReleaseSpec> release_of(const PublishOptions& options);

// A command from options. Several words are used as they are; one word is split in the way of a shell.
[[nodiscard]] Result<std::vector<std::string>> command_words(const std::vector<std::string>& words);

}  // namespace instar::publisher

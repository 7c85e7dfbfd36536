#include "publisher/archive/image_choice.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "publisher/archive/merged_tree.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kImagesListed = 12;
constexpr std::size_t kDigestShown = 19;  // "sha256:" and 12 digits

// `uname -m` and what images call it.
struct MachineName {
  std::string_view machine;
  std::string_view architecture;
  std::string_view variant;
};
constexpr std::array kMachineNames = {
    MachineName{"x86_64", "amd64", ""},
    MachineName{"aarch64", "arm64", ""},
    MachineName{"armv7l", "arm", "v7"},
    MachineName{"armv6l", "arm", "v6"},
    MachineName{"armv5tel", "arm", "v5"},
    MachineName{"armv5tejl", "arm", "v5"},
    MachineName{"armv8l", "arm", "v8"},
    MachineName{"armhf", "arm", "v7"},
    MachineName{"i686", "386", ""},
    MachineName{"i586", "386", ""},
    MachineName{"i486", "386", ""},
    MachineName{"i386", "386", ""},
    MachineName{"mips64el", "mips64le", ""},
    MachineName{"mipsel", "mipsle", ""},
    MachineName{"loongarch64", "loong64", ""},
};

ImagePlatform parse_platform(std::string_view text) {
  if (text.starts_with("linux/")) text.remove_prefix(6);
  const auto slash = text.find('/');
  ImagePlatform wanted{"linux", std::string(text.substr(0, slash)), {}};
  if (slash != std::string_view::npos) wanted.variant = text.substr(slash + 1);
  const auto known = std::ranges::find(kMachineNames, wanted.architecture, &MachineName::machine);
  if (known == kMachineNames.end()) return wanted;
  wanted.architecture = known->architecture;
  if (wanted.variant.empty()) wanted.variant = known->variant;
  return wanted;
}

// 7 of "v7". An arm without a variant is v7, an arm64 v8.
unsigned variant_number(const ImagePlatform& platform) {
  if (platform.variant.size() == 2 && platform.variant[0] == 'v' && platform.variant[1] >= '1' &&
      platform.variant[1] <= '9')
    return static_cast<unsigned>(platform.variant[1] - '0');
  return platform.architecture == "arm" ? 7 : platform.architecture == "arm64" ? 8 : 1;
}

bool is_called(const ImageCandidate& image, const std::string& name) {
  if (image.manifest && (image.manifest->digest.str() == name || name.ends_with("@" + image.manifest->digest.str())))
    return true;
  return std::ranges::any_of(image.names, [&](const std::string& one) {
    for (const std::string& wanted : {name, name + ":latest"}) {
      if (one == wanted || one.ends_with("/" + wanted)) return true;
    }
    return false;
  });
}

std::string listed(const std::vector<ImageCandidate>& images) {
  std::string text;
  for (std::size_t i = 0; i < images.size() && i < kImagesListed; ++i) {
    const auto& image = images[i];
    std::vector<std::string> names;
    for (const auto& name : image.names) names.push_back(shown_name(name));
    text += (i == 0 ? "" : "; ") + (names.empty() ? std::string("without a name") : joined(names, ", ")) + " for " +
            shown_name(image.platform.str());
    if (image.manifest) text += " (" + image.manifest->digest.str().substr(0, kDigestShown) + "…)";
  }
  return images.size() > kImagesListed ? text + "; …" : text;
}

Status complete_platform(const ImageFiles& files, ImageArchiveKind kind, ImageCandidate& image) {
  if (!image.platform.os.empty() && !image.platform.architecture.empty()) return {};
  INSTAR_TRY(auto manifest, read_manifest(files, kind, image));
  INSTAR_TRY(const auto config, read_config(files, manifest));
  image.platform = config.platform;
  return {};
}

std::vector<ImageCandidate> fitting(const std::vector<ImageCandidate>& images, const ImageWish& wish, bool exact) {
  std::vector<ImageCandidate> out;
  std::ranges::copy_if(images, std::back_inserter(out), [&](const ImageCandidate& image) {
    return std::ranges::any_of(wish.architectures, [&](const std::string& architecture) {
      const auto fit = fit_of(image.platform, architecture);
      return exact ? fit.is_exact : fit.runs;
    });
  });
  return out;
}

// Several of one platform have the names of several images; several platforms need another word.
std::string how_to_choose(const std::vector<ImageCandidate>& images) {
  const bool one_platform = std::ranges::all_of(
      images, [&](const ImageCandidate& each) { return each.platform.str() == images.front().platform.str(); });
  return one_platform ? ": name one of them with --image NAME"
                      : ": say which with --architecture, or with --image NAME";
}

}  // namespace

PlatformFit fit_of(const ImagePlatform& platform, std::string_view architecture) {
  const auto wanted = parse_platform(architecture);
  if (platform.os != "linux" || platform.architecture != wanted.architecture) return {};
  const auto has = variant_number(platform);
  const auto runs_to = variant_number(wanted);
  return {.runs = has <= runs_to, .is_exact = has == runs_to};
}

Result<ImageCandidate> choose_image(const ImageFiles& files, ImageCandidates images, const ImageWish& wish) {
  const std::string& where = files.path();
  if (images.list.empty()) return fail(Code::invalid_argument, where + " holds no image of a container");
  for (auto& image : images.list) INSTAR_CHECK(complete_platform(files, images.kind, image));
  auto left = images.list;
  if (!wish.name.empty()) {
    std::erase_if(left, [&](const ImageCandidate& image) { return !is_called(image, wish.name); });
    if (left.empty())
      return fail(Code::invalid_argument,
                  where + " holds no image called " + wish.name + ", but " + listed(images.list));
  }
  if (!wish.architectures.empty()) {
    auto fit = fitting(left, wish, true);
    if (fit.empty()) fit = fitting(left, wish, false);
    if (fit.empty()) {
      return fail(Code::invalid_argument,
                  where + " holds no image for " + joined(wish.architectures, ", ") + ", but " + listed(left));
    }
    left = std::move(fit);
  }
  if (left.size() > 1)
    return fail(Code::invalid_argument, where + " holds " + count_of(left.size(), "image") +
                                            (wish.name.empty() && wish.architectures.empty() ? "" : " that fit") +
                                            ", " + listed(left) + how_to_choose(left));
  if (left.front().platform.os != "linux") {
    return fail(Code::invalid_argument,
                where + " is an image for " + shown_name(left.front().platform.str()) + ": devices run Linux");
  }
  return std::move(left.front());
}

Status check_no_image_wish(const std::string& path, const ImageWish& wish) {
  if (wish.name.empty() && wish.digest.empty()) return {};
  return fail(Code::invalid_argument, path + " is no container image: a name and --expect are for images");
}

Status check_expected(const std::string& expected, const ImageCandidate& image, const BlobDigest& config) {
  if (expected.empty()) return {};
  INSTAR_TRY(const auto wanted, parse_blob_digest(expected));
  std::string has = "its config (the image's id) has " + config.str();
  bool is_met = wanted == config;
  if (image.manifest) {
    is_met = is_met || wanted == image.manifest->digest;
    has = "its manifest has " + image.manifest->digest.str() + ", " + has;
  }
  for (const auto& index : image.indexes) {
    is_met = is_met || wanted == index;
    has += ", the index it is in " + index.str();
  }
  if (is_met) return {};
  return fail(Code::refused, "it is not the image that was expected: " + wanted.str() + " was asked for, " + has);
}

}  // namespace instar::publisher

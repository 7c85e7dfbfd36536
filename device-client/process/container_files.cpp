#include "device-client/process/container_files.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace instar::device {
namespace {

constexpr std::pair<Giving, std::string_view> kGivings[] = {
    {Giving::bind, "bind"}, {Giving::bind_missing, "bind-missing"}, {Giving::copy_missing, "copy-missing"}};

// Cuts one text off the front of `rest`.
std::optional<std::string> take_text(std::string_view& rest) {
  const auto end = rest.find('\0');
  if (end == std::string_view::npos || end == 0) return std::nullopt;
  std::string text(rest.substr(0, end));
  rest.remove_prefix(end + 1);
  return text;
}

}  // namespace

std::string format_container_files(const std::vector<ContainerFile>& files) {
  std::string text;
  for (const auto& file : files) {
    const auto* const giving = std::ranges::find(kGivings, file.giving, &std::pair<Giving, std::string_view>::first);
    for (const std::string_view part : {std::string_view(file.source), std::string_view(file.name), giving->second})
      text.append(part).push_back('\0');
  }
  return text;
}

std::optional<std::vector<ContainerFile>> parse_container_files(std::string_view text) {
  std::vector<ContainerFile> files;
  while (!text.empty()) {
    auto source = take_text(text);
    auto name = take_text(text);
    const auto giving = take_text(text);
    if (!source || !name || !giving) return std::nullopt;
    const auto* const known = std::ranges::find(kGivings, *giving, &std::pair<Giving, std::string_view>::second);
    if (known == std::end(kGivings) || *name == "." || *name == ".." || name->find('/') != std::string::npos)
      return std::nullopt;
    files.push_back({std::move(*source), std::move(*name), known->first});
  }
  return files;
}

}  // namespace instar::device

#include "publisher/release/root_chain.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "core/trust/root.hpp"
#include "files/files.hpp"

namespace instar::publisher {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRootEnding = ".instar";

void add_folder(const std::string& folder, std::vector<Bytes>& out) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const auto path = it->path().string();
    if (!path.ends_with(kRootEnding) || out.size() >= limits::kRootChainMax) continue;
    if (auto bytes = files::read_file(path, limits::kMessageBytesMax)) out.push_back(std::move(*bytes));
  }
}

}  // namespace

Result<std::vector<Bytes>> read_roots(const std::vector<std::string>& paths, const std::string& newest) {
  std::vector<Bytes> out;
  for (const auto& path : paths) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      add_folder(path, out);
      continue;
    }
    INSTAR_TRY(auto bytes, files::read_file(path, limits::kMessageBytesMax));
    out.push_back(std::move(bytes));
  }
  const auto slash = newest.rfind('/');
  add_folder(slash == std::string::npos ? "." : newest.substr(0, slash + 1), out);
  return out;
}

std::vector<Bytes> chain_before(ByteView newest, const std::vector<Bytes>& found) {
  std::vector<Bytes> chain;
  const auto previous_of = [](ByteView envelope) -> std::optional<Hash256> {
    const auto parsed = trust::parse_envelope(envelope);
    if (!parsed) return std::nullopt;
    const auto document = trust::decode_root(parsed->payload);
    return document ? document->previous : std::nullopt;
  };
  for (auto wanted = previous_of(newest); wanted;) {
    const auto one = std::ranges::find_if(found, [&](const Bytes& envelope) {
      const auto parsed = trust::parse_envelope(envelope);
      return parsed && parsed->payload_hash == *wanted && trust::claimed_version(envelope);
    });
    if (one == found.end()) break;
    chain.push_back(*one);
    wanted = previous_of(*one);
  }
  std::ranges::reverse(chain);
  return chain;
}

std::string missing_before(std::uint32_t newest, const std::vector<Bytes>& chain) {
  const auto first = newest - static_cast<std::uint32_t>(chain.size());
  if (first <= 2) return {};
  return first == 3 ? "2" : "2 to " + std::to_string(first - 1);
}

}  // namespace instar::publisher

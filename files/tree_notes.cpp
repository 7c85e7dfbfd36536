#include "files/tree_notes.hpp"

#include <algorithm>

namespace instar::files {

void TreeNotes::Entries::add(std::string_view path) {
  if (count++ == 0) first = path;
}

// PEP 552: a magic number that ends with "\r\n", then flags. Without a flag, the time and size of the source follow.
bool names_a_time_of_python_source(ByteView start) noexcept {
  constexpr std::size_t kHeaderBytes = 16;
  return start.size() >= kHeaderBytes && start[2] == '\r' && start[3] == '\n' &&
         std::all_of(start.begin() + 4, start.begin() + 8, [](std::uint8_t byte) { return byte == 0; });
}

std::string python_source_of(std::string_view path) {
  constexpr std::string_view kFolder = "__pycache__/";
  const std::size_t name = path.rfind('/') + 1;  // 0 when there is no slash
  if (!path.ends_with(".pyc") || !path.substr(0, name).ends_with(kFolder)) return {};
  const std::size_t folder = name - kFolder.size();
  if (folder > 0 && path[folder - 1] != '/') return {};
  const std::size_t dot = path.find('.', name);
  return std::string(path.substr(0, folder)) + std::string(path.substr(name, dot - name)) + ".py";
}

}  // namespace instar::files

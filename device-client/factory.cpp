#include "device-client/factory.hpp"

#include "core/base/limits.hpp"
#include "device-client/host.hpp"
#include "files/files.hpp"
#include "files/spared_file.hpp"

namespace instar::device {
namespace {

std::string factory_path(const std::string& state_dir) {
  return state_dir + "/factory";
}

}  // namespace

Result<std::optional<revision::DeviceState>> read_factory(const std::string& state_dir) {
  const auto path = factory_path(state_dir);
  const auto bytes = files::read_file(path, limits::kStateFileBytesMax);
  if (!bytes && bytes.error().code == Code::not_found) return std::nullopt;
  if (!bytes) return fail(bytes.error());
  auto state = revision::decode_state(*bytes);
  if (!state) return fail(with_context(state.error(), path));
  if (!state->revisions.current) return fail(Code::malformed, path + " names no revision");
  return std::optional(std::move(*state));
}

Result<std::string> set_factory(const std::string& state_dir) {
  INSTAR_TRY(const auto bytes, files::read_spared_file(state_path(state_dir), limits::kStateFileBytesMax));
  INSTAR_TRY(const auto state, revision::decode_state(bytes));
  if (!state.revisions.current)
    return fail(Code::refused, "no release is committed on this device yet: install one first");
  if (state.phase != revision::Phase::idle)
    return fail(Code::refused, "a release is under way (" + std::string(phase_name(state.phase)) +
                                   "): let the client finish it first");
  revision::DeviceState factory;
  factory.generation = 1;
  factory.device = state.device;
  factory.product = state.product;
  factory.revisions.current = state.revisions.current;
  factory.revisions.current_manifest = state.revisions.current_manifest;
  factory.root = state.root;
  factory.history.highest_sequence = state.history.highest_sequence;
  factory.revisions.numbers = {state.revisions.current->number};
  factory.revisions.next_number = state.revisions.next_number;
  INSTAR_CHECK(files::write_file_atomic(factory_path(state_dir), revision::encode_state(factory), 0600));
  return state.revisions.current->info.release;
}

}  // namespace instar::device

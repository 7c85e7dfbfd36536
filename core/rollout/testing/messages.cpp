#include "core/rollout/testing/messages.hpp"

#include <string>
#include <utility>

namespace instar::rollout {

DeviceId id(std::string_view text) {
  return *DeviceId::parse(text);
}

ManifestId hash(std::uint64_t sequence) {
  return wire::examples::hash("manifest " + std::to_string(sequence));
}

PackId pack() {
  return wire::examples::hash("pack");
}

wire::Manifest manifest(std::uint64_t sequence, std::vector<GroupPath> groups) {
  wire::Manifest out;
  out.product = "gateway-2";
  out.release = "r" + std::to_string(sequence);
  out.sequence = sequence;
  out.groups = std::move(groups);
  wire::Pack full;
  full.id = pack();
  full.body_bytes = 10'000'000;
  out.artifacts.emplace_back().packs = {full};
  return out;
}

wire::Hello hello(std::string_view device, std::vector<GroupPath> groups) {
  wire::Hello out;
  out.device = id(device);
  out.key = wire::examples::key(4).public_key();
  out.description.product = "gateway-2";
  out.description.groups = std::move(groups);
  out.boot = 1;
  return out;
}

wire::Report report(std::string_view device, std::uint64_t sequence, const ManifestId& rollout, Step step,
                    std::uint32_t attempt) {
  wire::Report out;
  out.device = id(device);
  out.sequence = sequence;
  out.rollout = rollout;
  out.step = step;
  out.attempt = attempt;
  out.bytes_full = 1'000;
  return out;
}

}  // namespace instar::rollout

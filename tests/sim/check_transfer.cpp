#include "core/base/limits.hpp"
#include "tests/sim/checks.hpp"

namespace instar::sim {

void TransferCheck::asked(const std::string& device, const wire::Fetch& fetch, const Disk& disk,
                          std::uint32_t revision) {
  auto& account = accounts_[device];
  if (fetch.session != account.session) {
    if (fetch.session < account.session && !twins_.contains(device))
      world_.found(device + ": session numbers went back");
    account.session = fetch.session;
    ++account.mishaps;
  }
  if (!fetch.pack) return;
  const auto folder = disk.revisions.find(revision);
  if (folder == disk.revisions.end()) return;
  const auto pack = folder->second.packs.find(*fetch.pack);
  if (pack == folder->second.packs.end()) return;
  for (const auto& range : fetch.ranges) {
    for (std::uint32_t i = range.first; i < range.first + range.count; ++i) {
      if (pack->second.head.contains(i) || pack->second.body.contains(i)) {
        world_.found(device + " asks for chunk " + std::to_string(i) + " of pack " + fetch.pack->short_hex() +
                     ", which is durable");
      }
    }
  }
}

void TransferCheck::durable(const std::string& device, std::uint32_t bytes) {
  accounts_[device].durable += bytes;
}

void TransferCheck::sent(const std::string& device, std::uint32_t bytes) {
  accounts_[device].sent += bytes;
}

void TransferCheck::mishap(const std::string& device) {
  ++accounts_[device].mishaps;
}

void TransferCheck::at_end(const std::string& device) {
  if (twins_.contains(device)) return;
  const auto& account = accounts_[device];
  // Each mishap costs at most what was in flight, and what had come but was not durable: a half chunk, and whole ones
  // that waited for their sync.
  const std::uint64_t each = 2 * limits::kWindowBytesMax + limits::kChunkEncodedBytesMax;
  if (account.sent > account.durable + account.mishaps * each) {
    world_.found(device + " was sent " + std::to_string(account.sent) + " bytes, " + std::to_string(account.durable) +
                 " became durable, and " + std::to_string(account.mishaps) + " mishaps do not explain the rest");
  }
}

}  // namespace instar::sim

#include "core/trust/digest.hpp"

#include <sodium.h>

#include <new>

#include "core/base/assert.hpp"
#include "core/trust/sodium.hpp"

namespace instar::trust {
namespace {

using State = crypto_generichash_state;
static_assert(sizeof(State) <= 384, "Hasher has too little room for libsodium's state");
static_assert(alignof(State) <= 64, "Hasher's room is not aligned for libsodium's state");
constexpr std::size_t kDigestBytes = sizeof(Hash256::bytes);
static_assert(kDigestBytes >= crypto_generichash_BYTES_MIN && kDigestBytes <= crypto_generichash_BYTES_MAX);

State* state_in(std::array<std::byte, 384>& room) noexcept {
  return std::launder(reinterpret_cast<State*>(room.data()));
}

}  // namespace

Hasher::Hasher() noexcept {
  ensure_sodium();
  auto* state = ::new (static_cast<void*>(state_.data())) State;
  INSTAR_ASSERT(crypto_generichash_init(state, nullptr, 0, kDigestBytes) == 0);
}

void Hasher::update(ByteView bytes) noexcept {
  INSTAR_ASSERT(crypto_generichash_update(state_in(state_), bytes.data(), bytes.size()) == 0);
}

Hash256 Hasher::finish() noexcept {
  Hash256 hash;
  INSTAR_ASSERT(crypto_generichash_final(state_in(state_), hash.bytes.data(), kDigestBytes) == 0);
  return hash;
}

Hash256 digest(ByteView bytes) noexcept {
  ensure_sodium();
  Hash256 hash;
  INSTAR_ASSERT(crypto_generichash(hash.bytes.data(), kDigestBytes, bytes.data(), bytes.size(), nullptr, 0) == 0);
  return hash;
}

}  // namespace instar::trust

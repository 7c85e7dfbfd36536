// Canaries of the broker's store: one that calls a commit durable before it is, and what a broken one would have lost.
#pragma once

#include <memory>

#include "storage/memory_store.hpp"
#include "tests/sim/canaries.hpp"

namespace instar::sim {

// Calls a commit durable at once. `inner` must outlive it.
[[nodiscard]] std::unique_ptr<storage::Store> make_eager_store(storage::Store& inner);
// Right after a crash, before the broker starts again.
void spoil_store(storage::MemoryStore& store, const Canaries& canaries);

}  // namespace instar::sim

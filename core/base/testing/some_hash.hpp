// For tests: a hash that converts to the name of any kind of thing.
#pragma once

#include "core/base/hash.hpp"

namespace instar {

struct SomeHash : Hash256 {
  SomeHash() = default;
  explicit SomeHash(const Hash256& hash) noexcept : Hash256(hash) {}

  template <typename Thing>
  operator NameOf<Thing>() const {  // NOLINT(google-explicit-constructor): that is what it is for
    NameOf<Thing> name;
    name.bytes = bytes;
    return name;
  }
  template <typename Thing>
  friend bool operator==(const NameOf<Thing>& name, const SomeHash& hash) {
    return name.bytes == hash.bytes;
  }
};

}  // namespace instar

#include "tests/sim/effect_hash.hpp"

#include <array>
#include <variant>

#include "core/wire/manifest.hpp"

namespace instar::sim {

void EffectHash::number(std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes{};
  for (auto& byte : bytes) {
    byte = static_cast<std::uint8_t>(value);
    value >>= 8;
  }
  hasher_.update(bytes);
}

void EffectHash::bytes(ByteView value) {
  number(value.size());
  hasher_.update(value);
}

void EffectHash::text(std::string_view value) {
  bytes(as_bytes(value));
}

void EffectHash::effect(std::string_view who, MonotonicMs now, const revision::Effect& effect) {
  text(who);
  number(static_cast<std::uint64_t>(now.value));
  number(effect.index());
  std::visit([this](const auto& one) { add(one); }, effect);
}

void EffectHash::published(MonotonicMs now, std::string_view topic, ByteView payload, wire::Qos qos,
                           wire::Retain retain) {
  text("broker");
  number(static_cast<std::uint64_t>(now.value));
  text(topic);
  bytes(payload);
  number(static_cast<std::uint64_t>(qos) * 2 + (retain == wire::Retain::yes ? 1 : 0));
}

void EffectHash::answered(MonotonicMs now, std::string_view client, std::string_view topic, bool routed) {
  text(client);
  number(static_cast<std::uint64_t>(now.value));
  text(topic);
  number(routed ? 1 : 0);
}

void EffectHash::logged(MonotonicMs now, LogLevel level, std::string_view line) {
  number(static_cast<std::uint64_t>(now.value));
  number(static_cast<std::uint64_t>(level));
  text(line);
}

void EffectHash::stored(storage::Store& store) {
  for (std::size_t column = 0; column < storage::kColumnCount; ++column) {
    const auto scanned = store.scan(static_cast<storage::Column>(column), "", [&](ByteView key, ByteView value) {
      bytes(key);
      bytes(value);
      return true;
    });
    number(scanned ? column : storage::kColumnCount);
  }
}

std::string EffectHash::finish() {
  return hasher_.finish().short_hex();
}

void EffectHash::add(const revision::Persist& effect) {
  bytes(effect.state);
  bytes(effect.anchor);
}
void EffectHash::add(const revision::Publish& effect) {
  text(effect.topic);
  bytes(effect.payload);
  number(static_cast<std::uint64_t>(effect.qos) * 2 + (effect.retain == wire::Retain::yes ? 1 : 0) +
         (effect.opens ? 8 : 0));
}
void EffectHash::add(const revision::OpenStaging& effect) {
  number(effect.revision);
  bytes(wire::encode_manifest(effect.manifest));
  number(effect.choices.size());
  for (const auto& choice : effect.choices) {
    bytes(choice.artifact.bytes);
    bytes(choice.pack.bytes);
  }
  number(effect.bases.size());
  for (const auto base : effect.bases) number(base);
}
void EffectHash::add(const revision::StagePiece& effect) {
  number(effect.revision);
  bytes(effect.pack.bytes);
  number(effect.ordinal);
  number(effect.offset);
  bytes(effect.data);
}
void EffectHash::add(const revision::FinishStaging& effect) {
  number(effect.revision);
}
void EffectHash::add(const revision::RemoveRevision& effect) {
  number(effect.revision);
}
void EffectHash::add(const revision::TrimRevision& effect) {
  number(effect.revision);
  number(effect.keep.size());
  for (const auto& artifact : effect.keep) bytes(artifact.bytes);
}
void EffectHash::add(const revision::StartTry& effect) {
  number(effect.from);
  number(effect.to);
  bytes(wire::encode_manifest(effect.manifest));
}
void EffectHash::add(const revision::RunProbe& effect) {
  number(effect.revision);
  text(effect.container);
  for (const auto& word : effect.probe.command) text(word);
  number(effect.probe.timeout_ms);
}
void EffectHash::add(const revision::SwitchBack& effect) {
  number(effect.from);
  number(effect.to);
  if (effect.manifest) bytes(wire::encode_manifest(*effect.manifest));
}
void EffectHash::add(const revision::EnsureRunning& effect) {
  number(effect.revision);
  bytes(wire::encode_manifest(effect.manifest));
}
void EffectHash::add(const revision::PointCurrent& effect) {
  number(effect.current);
  number(effect.previous);
}
void EffectHash::add(const revision::Resubscribe& effect) {
  static_cast<void>(effect);
}
void EffectHash::add(const revision::Log& effect) {
  number(static_cast<std::uint64_t>(effect.level));
  text(effect.message);
}

}  // namespace instar::sim

// What the machine asks for. Effects of one call are carried out in order; the rule for Persist stands in machine.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/hash.hpp"
#include "core/base/log_level.hpp"
#include "core/wire/delivery.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

// The whole DeviceState (docs/formats/device-state.md), to replace the file atomically. Before it the anchor's file,
// when `anchor` is not empty (docs/formats/anchor.md).
struct Persist {
  Bytes state;
  Bytes anchor = {};
};
struct Publish {
  std::string topic;
  Bytes payload;
  wire::Qos qos = wire::Qos::at_least_once;
  wire::Retain retain = wire::Retain::no;
  // There is no connection: the next one is to begin with this message, if it can be the very next one and the shell
  // can do that; otherwise it is dropped.
  bool opens = false;
};
// Which pack to use for one artifact.
struct PackChoice {
  ArtifactId artifact;
  PackId pack;
};
// Make or reopen the staging folder of `revision` and report what is wanted. Space is counted before the first byte.
struct OpenStaging {
  std::uint32_t revision = 0;
  wire::Manifest manifest;
  std::vector<PackChoice> choices;
  std::vector<std::uint32_t> bases;  // revisions whose trees may be used
};
// Pieces of one chunk come in order, without holes, from offset 0 (or from the offset that StagingWants named). A piece
// at offset 0 starts its chunk again. While a chunk is half there no piece of another one comes, unless the half is
// given up.
struct StagePiece {
  std::uint32_t revision = 0;
  PackId pack;
  std::uint32_t ordinal = 0;
  std::uint32_t offset = 0;
  Bytes data;
};
// Everything is there: verify the whole tree against the index, link, write LXC configurations.
struct FinishStaging {
  std::uint32_t revision = 0;
};
// Drop a staging folder or an old revision.
struct RemoveRevision {
  std::uint32_t revision = 0;
};
// Of a revision that runs nothing: all artifacts go but these. What it keeps may still be used.
struct TrimRevision {
  std::uint32_t revision = 0;
  std::vector<ArtifactId> keep;
};
// Stop what changed of `from` (0 = nothing runs), start `to`'s containers. After a restart it may come again while some
// of `to` run: they stay, and TryStarted follows all the same.
struct StartTry {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  wire::Manifest manifest;
};
struct RunProbe {
  std::uint32_t revision = 0;
  std::string container;
  wire::Probe probe;
};
// Stop `from`, start `to` (0 = none: nothing ran before).
struct SwitchBack {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::optional<wire::Manifest> manifest;
};
// At start: make sure that the containers of the current revision run (they usually still do). With payloads of host
// handlers also at the commit: what was tried is kept.
struct EnsureRunning {
  std::uint32_t revision = 0;
  wire::Manifest manifest;
};
// `current` has moved: point the convenience symlinks at it.
struct PointCurrent {
  std::uint32_t current = 0;
  std::uint32_t previous = 0;  // 0 = none
};
// subscriptions() has changed.
struct Resubscribe {};
struct Log {
  LogLevel level = LogLevel::info;
  std::string message;
};

using Effect = std::variant<Persist, Publish, OpenStaging, StagePiece, FinishStaging, RemoveRevision, TrimRevision,
                            StartTry, RunProbe, SwitchBack, EnsureRunning, PointCurrent, Resubscribe, Log>;
using Effects = std::vector<Effect>;

}  // namespace instar::revision

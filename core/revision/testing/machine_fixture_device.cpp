// The fixture's stager and containers.
#include "core/revision/testing/machine_fixture.hpp"

namespace instar::revision {

void MachineFixture::answer_position() {
  wire::ChunkPiece piece{serving_.session, wire::kNoOrdinal, 0, {}, wire::ChunkFault::position};
  if (!serving_.ranges.empty()) {
    piece.ordinal = serving_.ranges.front().first;
    piece.offset = serving_.ranges.front().offset;
  }
  queue_.emplace_back(MessageArrived{topics.device(facts.device, wire::TopicKind::device_chunk), wire::encode(piece)});
}

void MachineFixture::notify_wants(std::uint32_t revision, const PackId& pack, bool head_only) {
  const auto& stored = packs[pack];
  StagingWants wants{revision, pack, {}, {}, 0, !head_only};
  for (std::uint32_t i = 0; i < stored.sizes.size(); ++i) {
    if ((head_only && i >= stored.head_count) || folders[revision][pack].contains(i)) continue;
    wants.ranges.push_back({i, 1, 0});
    wants.chunk_bytes.push_back(stored.sizes[i]);
    wants.bytes_wanted += stored.sizes[i];
  }
  queue_.emplace_back(std::move(wants));
}

bool MachineFixture::head_missing(std::uint32_t revision, const PackId& pack) {
  for (std::uint32_t i = 0; i < packs[pack].head_count; ++i) {
    if (!folders[revision][pack].contains(i)) return true;
  }
  return false;
}

void MachineFixture::carry(OpenStaging& effect) {
  trace.emplace_back("open");
  opened[effect.revision] = effect;
  half_.clear();
  if (staging_fails) {
    queue_.emplace_back(StagingFailed{effect.revision, *staging_fails});
    if (--staging_failures > 0) return;
    staging_failures = 1;
    staging_fails.reset();
    return;
  }
  for (const auto& choice : effect.choices) {
    const auto falls_short = short_packs.find(choice.pack);
    if (falls_short != short_packs.end() && falls_short->second.missing.files == 0)
      return notify_shortfall(effect.revision, choice.pack, true);
  }
  for (const auto& choice : effect.choices) {
    const bool head = head_missing(effect.revision, choice.pack);
    if (!head) notify_shortfall(effect.revision, choice.pack, false);
    notify_wants(effect.revision, choice.pack, head);
  }
}

void MachineFixture::notify_shortfall(std::uint32_t revision, const PackId& pack, bool now) {
  const auto falls_short = short_packs.find(pack);
  if (falls_short == short_packs.end()) return;
  queue_.emplace_back(PackUnusable{revision, pack, falls_short->second.error, falls_short->second.missing, now});
}

void MachineFixture::carry(StagePiece& effect) {
  auto& half = half_[{effect.pack, effect.ordinal}];
  if (effect.offset == 0) half = 0;
  ASSERT_EQ(half, effect.offset) << "pieces come in order";
  half += static_cast<std::uint32_t>(effect.data.size());
  const auto size = packs[effect.pack].sizes[effect.ordinal];
  ASSERT_LE(half, size);
  if (half < size) return;
  half_.clear();
  const auto broken = corrupt.find(effect.ordinal);
  if (broken != corrupt.end()) {
    corrupt.erase(broken);
    queue_.emplace_back(
        ChunkRefused{effect.revision, effect.pack, effect.ordinal, Error{Code::corrupt, "does not match its hash"}});
    return;
  }
  const bool was_missing = head_missing(effect.revision, effect.pack);
  folders[effect.revision][effect.pack].insert(effect.ordinal);
  queue_.emplace_back(ChunkDurable{effect.revision, effect.pack, effect.ordinal, size});
  if (was_missing && !head_missing(effect.revision, effect.pack)) {
    notify_shortfall(effect.revision, effect.pack, false);
    notify_wants(effect.revision, effect.pack, false);
  }
}

void MachineFixture::carry(FinishStaging& effect) {
  trace.emplace_back("finish");
  if (finish_fails) {
    queue_.emplace_back(StagingFailed{effect.revision, *std::exchange(finish_fails, std::nullopt)});
    return;
  }
  for (const auto& choice : opened[effect.revision].choices) {
    if (short_packs.contains(choice.pack)) return notify_shortfall(effect.revision, choice.pack, true);
    EXPECT_EQ(folders[effect.revision][choice.pack].size(), packs[choice.pack].sizes.size())
        << "asked to finish what is not there";
  }
  staged[effect.revision] = opened[effect.revision].manifest;
  queue_.emplace_back(StagingDone{effect.revision});
}

void MachineFixture::carry(RemoveRevision& effect) {
  trace.emplace_back("remove");
  EXPECT_NE(running, effect.revision) << "a running revision is removed";
  folders.erase(effect.revision);
  staged.erase(effect.revision);
}

void MachineFixture::carry(TrimRevision& effect) {
  trace.emplace_back("trim");
  trimmed[effect.revision] = effect.keep;
}

void MachineFixture::carry(StartTry& effect) {
  trace.emplace_back("try");
  EXPECT_TRUE(staged.contains(effect.to)) << "a revision is started that was not staged";
  if (unstartable.contains(effect.manifest.release)) {
    running = 0;
    queue_.emplace_back(TryFailed{effect.to, Error{Code::unhealthy, "no such init"}});
    return;
  }
  running = effect.to;
  queue_.emplace_back(TryStarted{effect.to, 30, switch_remark});
  if (stopping.contains(effect.manifest.release)) queue_.emplace_back(ContainerStopped{effect.to, "app", "exit 1"});
}

void MachineFixture::carry(RunProbe& effect) {
  trace.emplace_back("probe");
  const bool passed = running == effect.revision && !bad_releases.contains(staged[effect.revision].release);
  queue_.emplace_back(ProbeEnded{effect.revision, effect.container, passed, passed ? "exit 0" : "exit 3"});
}

void MachineFixture::carry(SwitchBack& effect) {
  trace.emplace_back("back");
  if (switch_back_failures > 0) {
    --switch_back_failures;
    queue_.emplace_back(SwitchBackFailed{Error{Code::io, "busy"}});
    return;
  }
  EXPECT_TRUE(effect.to == 0 || staged.contains(effect.to));
  running = effect.to;
  queue_.emplace_back(SwitchedBack{effect.to, 40});
}

void MachineFixture::carry(EnsureRunning& effect) {
  trace.emplace_back("ensure");
  EXPECT_TRUE(staged.contains(effect.revision));
  running = effect.revision;
}

}  // namespace instar::revision

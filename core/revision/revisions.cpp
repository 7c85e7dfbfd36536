#include "core/revision/revisions.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/assert.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {
namespace {

bool is_of(const std::optional<RevisionRecord>& record, const ManifestId& manifest) noexcept {
  return record && record->info.manifest == manifest;
}

bool is_number(const std::optional<RevisionRecord>& record, std::uint32_t number) noexcept {
  return record && record->number == number;
}

bool has(const std::optional<RevisionRecord>& record, const ArtifactId& artifact) noexcept {
  return record && std::ranges::find(record->info.artifacts, artifact) != record->info.artifacts.end();
}

bool is_same(const wire::Container& a, const wire::Container& b) {
  const auto same_setting = [](const wire::Setting& x, const wire::Setting& y) {
    return x.key == y.key && x.value == y.value;
  };
  const auto same_volume = [](const wire::Volume& x, const wire::Volume& y) {
    return x.name == y.name && x.path == y.path && x.mode == y.mode && x.uid == y.uid && x.gid == y.gid;
  };
  return a.name == b.name && a.artifact == b.artifact && a.init == b.init && a.start_order == b.start_order &&
         a.handler == b.handler && std::ranges::equal(a.settings, b.settings, same_setting) &&
         std::ranges::equal(a.volumes, b.volumes, same_volume);
}

}  // namespace

std::optional<wire::Manifest> manifest_in(const Bytes& envelope) {
  if (envelope.empty()) return std::nullopt;
  const auto parsed = trust::parse_envelope(envelope);
  if (!parsed) return std::nullopt;
  auto manifest = wire::decode_manifest(parsed->payload);
  if (!manifest) return std::nullopt;
  return std::move(*manifest);
}

Revisions::Revisions(RevisionsState state, std::optional<RevisionRecord> factory, Bytes factory_manifest)
    : state_(std::move(state)),
      factory_(std::move(factory)),
      factory_manifest_(std::move(factory_manifest)),
      current_(manifest_in(state_.current_manifest)),
      candidate_(manifest_in(state_.candidate_manifest)) {}

bool Revisions::is_candidate(std::uint32_t number) const noexcept {
  return is_number(state_.candidate, number);
}

bool Revisions::is_candidate(const ManifestId& manifest) const noexcept {
  return is_of(state_.candidate, manifest);
}

bool Revisions::is_current(const ManifestId& manifest) const noexcept {
  return is_of(state_.current, manifest);
}

bool Revisions::holds(const ManifestId& manifest) const noexcept {
  return is_of(state_.current, manifest) || is_of(state_.previous, manifest) || is_of(state_.candidate, manifest);
}

const wire::Manifest* Revisions::manifest_of(const ManifestId& manifest) const noexcept {
  if (candidate_ && is_of(state_.candidate, manifest)) return &*candidate_;
  if (current_ && is_of(state_.current, manifest)) return &*current_;
  return nullptr;
}

bool Revisions::is_factory(const std::optional<RevisionRecord>& record) const noexcept {
  return record && factory_ && record->number == factory_->number;
}

bool Revisions::candidate_differs() const {
  return !current_ || !std::ranges::equal(candidate_->containers, current_->containers, is_same);
}

std::vector<ArtifactId> Revisions::artifacts() const {
  std::vector<ArtifactId> ids;
  for (const auto* record : {&state_.current, &state_.previous, &factory_}) {
    if (*record) std::ranges::copy((*record)->info.artifacts, std::back_inserter(ids));
  }
  return ids;
}

bool Revisions::only_previous_has(const ArtifactId& artifact) const noexcept {
  return has(state_.previous, artifact) && !has(state_.current, artifact) && !has(factory_, artifact);
}

std::vector<std::uint32_t> Revisions::bases() const {
  std::vector<std::uint32_t> numbers;
  if (state_.current) numbers.push_back(state_.current->number);
  if (state_.previous) numbers.push_back(state_.previous->number);
  if (factory_ && !is_factory(state_.current) && !is_factory(state_.previous)) numbers.push_back(factory_->number);
  std::ranges::copy(disposable(), std::back_inserter(numbers));
  return numbers;
}

void Revisions::take_candidate(const ManifestId& hash, const Bytes& envelope, const wire::Manifest& manifest) {
  RevisionRecord record{0, {manifest.product, manifest.release, manifest.sequence, hash, {}}};
  std::ranges::transform(manifest.artifacts, std::back_inserter(record.info.artifacts), &wire::Artifact::id);
  state_.candidate = std::move(record);
  state_.candidate_manifest = envelope;
  candidate_ = manifest;
  renumber_candidate();
}

void Revisions::renumber_candidate() {
  INSTAR_ASSERT(state_.candidate.has_value());
  state_.candidate->number = state_.next_number++;
  state_.numbers.push_back(state_.candidate->number);
}

void Revisions::forget_candidate() {
  state_.candidate.reset();
  state_.candidate_manifest.clear();
  candidate_.reset();
}

void Revisions::commit() {
  INSTAR_ASSERT(state_.candidate.has_value());
  state_.previous = std::exchange(state_.current, std::exchange(state_.candidate, std::nullopt));
  state_.previous_manifest = std::exchange(state_.current_manifest, std::exchange(state_.candidate_manifest, {}));
  current_ = std::exchange(candidate_, std::nullopt);
}

Result<Release> Revisions::release_before(const History& history) const {
  auto before = state_.previous ? manifest_in(state_.previous_manifest) : std::nullopt;
  if (!before) return fail(Code::not_found, "the one before it is not on the device any more");
  if (history.has_failed(state_.previous->info.manifest))
    return fail(Code::refused, "the one before it has failed here");
  return Release{*state_.previous, state_.previous_manifest, std::move(*before)};
}

std::optional<Release> Revisions::factory_release(const History& history) const {
  if (!factory_ || is_factory(state_.current)) return std::nullopt;
  auto manifest = manifest_in(factory_manifest_);
  if (!manifest || history.has_failed(factory_->info.manifest)) return std::nullopt;
  return Release{*factory_, factory_manifest_, std::move(*manifest)};
}

void Revisions::go_back(Release before) {
  state_.candidate = std::exchange(state_.current, std::move(before.record));
  state_.candidate_manifest = std::exchange(state_.current_manifest, std::move(before.envelope));
  state_.previous.reset();
  state_.previous_manifest.clear();
  candidate_ = std::exchange(current_, std::move(before.manifest));
}

void Revisions::fall_to_factory(Release factory) {
  state_.current = std::move(factory.record);
  state_.current_manifest = std::move(factory.envelope);
  current_ = std::move(factory.manifest);
  state_.previous.reset();
  state_.previous_manifest.clear();
}

std::uint32_t Revisions::give_up_previous() {
  INSTAR_ASSERT(state_.previous.has_value());
  const auto number = state_.previous->number;
  state_.previous.reset();
  state_.previous_manifest.clear();
  return number;
}

std::vector<std::uint32_t> Revisions::disposable() const {
  std::vector<std::uint32_t> numbers;
  for (const auto number : state_.numbers) {
    const bool is_used = is_number(state_.current, number) || is_number(state_.previous, number) ||
                         is_number(state_.candidate, number) || is_number(factory_, number);
    if (!is_used && std::ranges::find(removing_, number) == removing_.end()) numbers.push_back(number);
  }
  return numbers;
}

RemoveRevision Revisions::remove(std::uint32_t number) {
  removing_.push_back(number);
  return RemoveRevision{number};
}

void Revisions::forget_removed() {
  for (const auto number : std::exchange(removing_, {})) std::erase(state_.numbers, number);
}

PointCurrent Revisions::point_current() const {
  return PointCurrent{current_number(), state_.previous ? state_.previous->number : 0};
}

void Revisions::assert_invariants() const {
  INSTAR_ASSERT(state_.current.has_value() || (state_.current_manifest.empty() && !current_));
  INSTAR_ASSERT(state_.candidate.has_value() || (state_.candidate_manifest.empty() && !candidate_));
  INSTAR_ASSERT(state_.previous.has_value() || state_.previous_manifest.empty());
  INSTAR_ASSERT(!state_.current || !state_.current_manifest.empty());
  INSTAR_ASSERT(!state_.candidate || !state_.candidate_manifest.empty());
  for (auto one = state_.numbers.begin(); one != state_.numbers.end(); ++one) {
    INSTAR_ASSERT(*one < state_.next_number);
    INSTAR_ASSERT(std::find(one + 1, state_.numbers.end(), *one) == state_.numbers.end());
  }
}

}  // namespace instar::revision

#include "broker-plugin/upload.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

std::string ordinal_text(std::uint32_t ordinal) {
  return "chunk " + std::to_string(ordinal);
}

}  // namespace

std::vector<wire::OrdinalRange> to_ranges(const std::vector<std::uint32_t>& ordinals) {
  std::vector<wire::OrdinalRange> ranges;
  for (const auto ordinal : ordinals) {
    if (!ranges.empty() && ranges.back().first + ranges.back().count == ordinal) {
      ++ranges.back().count;
    } else {
      ranges.push_back({ordinal, 1});
    }
  }
  return ranges;
}

std::vector<wire::OrdinalRange> coarsen(std::vector<wire::OrdinalRange> ranges, std::size_t ranges_max) {
  INSTAR_ASSERT(ranges_max > 0);
  std::uint32_t gap_max = 1;
  while (ranges.size() > ranges_max) {
    gap_max *= 2;
    std::vector<wire::OrdinalRange> wider;
    for (const auto& range : ranges) {
      if (!wider.empty() && range.first - (wider.back().first + wider.back().count) < gap_max) {
        wider.back().count = range.first + range.count - wider.back().first;
      } else {
        wider.push_back(range);
      }
    }
    ranges = std::move(wider);
  }
  return ranges;
}

Upload::Upload(storage::Store& store, Commit commit, Send send, UploadOptions options, MakeRoom make_room)
    : store_(store),
      commit_(std::move(commit)),
      send_(std::move(send)),
      options_(options),
      make_room_(std::move(make_room)),
      known_(store, commit_),
      self_(std::make_shared<Upload*>(this)) {}

bool Upload::is_uploading(const PackId& pack) const {
  const auto found = packs_.find(pack);
  if (found == packs_.end()) return false;
  const auto& upload = found->second;
  return upload.completing || !upload.asked.empty() || !upload.clients.empty();
}

void Upload::remove(const std::vector<PackId>& packs) {
  for (const auto& pack : packs) {
    INSTAR_ASSERT(!is_uploading(pack));
    packs_.erase(pack);
  }
  known_.remove(packs);
}

Status Upload::put(const ClientId& client, const wire::Put& put) {
  bool whole = false;
  auto status = assemble(client, put, whole);
  if (status.has_value() && whole) {
    auto bytes = std::move(assemblies_[client].data);
    assembly_bytes_ -= bytes.size();
    assemblies_.erase(client);
    status = put.kind == wire::PutKind::directory ? take_directory(client, put.pack, bytes)
                                                  : take_chunk(client, put.pack, put.ordinal, std::move(bytes));
  }
  if (!status.has_value()) {
    forget_assembly(client);
    auto& failed = assemblies_[client];
    failed = {put.kind, put.pack, put.ordinal, put.total_bytes, {}, true};
    answer_error(client, put.pack, status.error());
  }
  return status;
}

Status Upload::assemble(const ClientId& client, const wire::Put& put, bool& whole) {
  if (put.offset == 0) {
    forget_assembly(client);
    if (assemblies_.size() >= options_.clients_max) {
      return fail(Code::unavailable, "too many uploads at a time: send again later");
    }
    assemblies_[client] = {put.kind, put.pack, put.ordinal, put.total_bytes, {}, false};
  }
  const auto found = assemblies_.find(client);
  const bool same = found != assemblies_.end() && found->second.kind == put.kind && found->second.pack == put.pack &&
                    found->second.ordinal == put.ordinal && found->second.total_bytes == put.total_bytes;
  if (same && found->second.failed) return {};
  if (!same || found->second.data.size() != put.offset) {
    return fail(Code::malformed, "a piece at offset " + std::to_string(put.offset) +
                                     " does not follow what came before: send the object again from its start");
  }
  if (assembly_bytes_ + put.data.size() > options_.assembly_bytes_max) {
    return fail(Code::unavailable, "too much is being uploaded at a time: send again later");
  }
  auto& data = found->second.data;
  data.insert(data.end(), put.data.begin(), put.data.end());
  assembly_bytes_ += put.data.size();
  whole = data.size() == put.total_bytes;
  return {};
}

Status Upload::take_directory(const ClientId& client, const PackId& id, const Bytes& bytes) {
  if (trust::digest(bytes) != id) return fail(Code::corrupt, "the directory does not match the pack's id");
  INSTAR_TRY(auto directory, artifact::decode_directory(bytes));
  if (known_.is_removing(id))
    return fail(Code::unavailable, "pack " + id.short_hex() + " is being removed: send it again in a moment");
  if (known_.is_complete(id)) {
    wire::Stored stored;
    stored.pack = id;
    stored.directory = true;
    stored.complete = true;
    send_(client, stored);
    return {};
  }
  if (const auto known = packs_.find(id); known != packs_.end()) {
    known->second.used = ++uses_;
    known->second.asked.insert(client);
    known->second.clients.insert(client);
    if (known->second.ready) answer_directory(id, known->second);
    return {};
  }
  // One that was begun before has its room already.
  if (make_room_ && !known_.all().contains(id))
    INSTAR_CHECK(make_room_(directory.head_bytes() + directory.body_bytes()));
  drop_oldest();
  known_.began(id, directory);
  auto& pack = packs_[id];
  pack.used = ++uses_;
  pack.asked.insert(client);
  pack.clients.insert(client);
  pack.missing = static_cast<std::uint32_t>(directory.chunks.size());
  pack.have.resize(directory.chunks.size());
  for (std::uint32_t i = 0; i < pack.missing; ++i) pack.by_hash.emplace_back(directory.chunks[i].hash, i);
  std::sort(pack.by_hash.begin(), pack.by_hash.end());
  pack.directory = std::move(directory);
  storage::Batch batch{{storage::Column::packs, storage::directory_key(id), bytes}};
  commit_(std::move(batch), [id, self = std::weak_ptr(self_)] {
    if (const auto upload = self.lock()) (*upload)->look_up(id);
  });
  return {};
}

// Asks the store which chunks it holds, one slice of them at a time.
void Upload::look_up(const PackId& id) {
  const auto found = packs_.find(id);
  if (found == packs_.end()) return;
  auto& pack = found->second;
  const auto count = static_cast<std::uint32_t>(pack.directory.chunks.size());
  if (pack.looked_up == count) {
    pack.ready = true;
    answer_directory(id, pack);
    complete_if_whole(id, pack);
    return;
  }
  const auto first = pack.looked_up;
  const auto last = std::min(count, first + limits::kLookUpKeysMax);
  std::vector<std::string> keys;
  for (auto i = first; i < last; ++i) {
    const auto& ref = pack.directory.chunks[i];
    keys.push_back(storage::chunk_key(ref.hash, ref.encoded_bytes));
  }
  store_.contains(storage::Column::chunks, std::move(keys),
                  [id, first, self = std::weak_ptr(self_)](Result<std::vector<bool>> answer) {
                    if (const auto upload = self.lock()) (*upload)->looked_up(id, first, answer);
                  });
}

void Upload::looked_up(const PackId& id, std::uint32_t first, const Result<std::vector<bool>>& answer) {
  const auto found = packs_.find(id);
  if (found == packs_.end() || found->second.looked_up != first) return;
  auto& pack = found->second;
  if (!answer.has_value()) {
    const auto clients = pack.asked;
    packs_.erase(found);
    for (const auto& client : clients) answer_error(client, id, answer.error());
    return;
  }
  for (std::uint32_t i = 0; i < answer->size(); ++i) {
    if (!(*answer)[i] || pack.have[first + i]) continue;
    pack.have[first + i] = true;
    --pack.missing;
  }
  pack.looked_up = first + static_cast<std::uint32_t>(answer->size());
  look_up(id);
}

void Upload::answer_directory(const PackId& id, Pack& pack) {
  // Nothing is missing: the answer follows when that fact is durable.
  if (pack.missing == 0) return;
  wire::Stored stored;
  stored.pack = id;
  stored.directory = true;
  std::vector<std::uint32_t> missing;
  for (std::uint32_t i = 0; i < pack.have.size(); ++i) {
    if (!pack.have[i]) missing.push_back(i);
  }
  stored.missing = coarsen(to_ranges(missing), limits::kStoredRangesMax);
  for (const auto& client : pack.asked) send_(client, stored);
  pack.asked.clear();
}

Status Upload::take_chunk(const ClientId& client, const PackId& id, std::uint32_t ordinal, Bytes bytes) {
  const auto found = packs_.find(id);
  if (found == packs_.end() && !known_.is_complete(id)) {
    return fail(Code::not_found, "pack " + id.short_hex() + " is not being uploaded: send its directory first");
  }
  if (found == packs_.end()) {
    answers_[{client, id}].complete = true;
    return {};
  }
  auto& pack = found->second;
  pack.used = ++uses_;
  pack.clients.insert(client);
  if (ordinal >= pack.directory.chunks.size()) {
    return fail(Code::invalid_argument, ordinal_text(ordinal) + " is not in the directory of pack " + id.short_hex());
  }
  if (pack.have[ordinal]) {
    answers_[{client, id}].durable.push_back(ordinal);
    return {};
  }
  const auto& ref = pack.directory.chunks[ordinal];
  if (bytes.size() != ref.encoded_bytes) {
    return fail(Code::corrupt, ordinal_text(ordinal) + " has " + std::to_string(bytes.size()) +
                                   " bytes, the directory says " + std::to_string(ref.encoded_bytes));
  }
  if (auto decoded = artifact::decode_chunk(ref, bytes); !decoded.has_value()) {
    return fail(with_context(std::move(decoded.error()), ordinal_text(ordinal)));
  }
  if (writing_bytes_ + bytes.size() > options_.writing_bytes_max) {
    return fail(Code::unavailable, "the store is behind: send " + ordinal_text(ordinal) + " again later");
  }
  const auto size = bytes.size();
  writing_bytes_ += size;
  storage::Batch batch{{storage::Column::chunks, storage::chunk_key(ref.hash, ref.encoded_bytes), std::move(bytes)}};
  commit_(std::move(batch), [id, client, ordinal, size, self = std::weak_ptr(self_)] {
    const auto alive = self.lock();
    if (alive == nullptr) return;
    auto& upload = **alive;
    INSTAR_ASSERT(upload.writing_bytes_ >= size);
    upload.writing_bytes_ -= size;
    upload.answers_[{client, id}].durable.push_back(ordinal);
    const auto now = upload.packs_.find(id);
    if (now == upload.packs_.end()) return;
    mark(now->second, ordinal);
    upload.complete_if_whole(id, now->second);
  });
  return {};
}

// A pack may list a chunk more than once: with the chunk the broker has all of its ordinals.
void Upload::mark(Pack& pack, std::uint32_t ordinal) {
  const auto& ref = pack.directory.chunks[ordinal];
  auto it = std::lower_bound(pack.by_hash.begin(), pack.by_hash.end(), std::pair(ref.hash, std::uint32_t{0}));
  INSTAR_ASSERT(it != pack.by_hash.end() && it->first == ref.hash);
  for (; it != pack.by_hash.end() && it->first == ref.hash; ++it) {
    if (pack.have[it->second] || pack.directory.chunks[it->second].encoded_bytes != ref.encoded_bytes) continue;
    pack.have[it->second] = true;
    --pack.missing;
  }
}

void Upload::complete_if_whole(const PackId& id, Pack& pack) {
  if (pack.missing > 0 || !pack.ready || pack.completing) return;
  pack.completing = true;
  storage::Batch batch{{storage::Column::packs, storage::complete_key(id), known_.complete_value()}};
  commit_(std::move(batch), [id, self = std::weak_ptr(self_)] {
    const auto alive = self.lock();
    if (alive == nullptr) return;
    auto& upload = **alive;
    upload.known_.completed(id);
    const auto found = upload.packs_.find(id);
    if (found == upload.packs_.end()) return;
    for (const auto& client : found->second.asked) {
      wire::Stored stored;
      stored.pack = id;
      stored.directory = true;
      stored.complete = true;
      upload.send_(client, stored);
      found->second.clients.erase(client);
    }
    for (const auto& client : found->second.clients) upload.answers_[{client, id}].complete = true;
    upload.packs_.erase(found);
  });
}

void Upload::drop_oldest() {
  if (packs_.size() < options_.packs_max) return;
  auto oldest = packs_.end();
  for (auto it = packs_.begin(); it != packs_.end(); ++it) {
    if (oldest == packs_.end() || it->second.used < oldest->second.used) oldest = it;
  }
  packs_.erase(oldest);
}

void Upload::send_answers() {
  for (auto it = answers_.begin(); it != answers_.end();) {
    const auto pack = packs_.find(it->first.second);
    // The last chunks, and the fact that the pack is complete, go in one answer.
    const bool completing = pack != packs_.end() && pack->second.completing;
    if (completing) {
      ++it;
      continue;
    }
    send_answer(it->first.first, it->first.second, std::move(it->second));
    it = answers_.erase(it);
  }
}

void Upload::send_answer(const ClientId& client, const PackId& pack, Answer answer) {
  auto& durable = answer.durable;
  std::sort(durable.begin(), durable.end());
  durable.erase(std::unique(durable.begin(), durable.end()), durable.end());
  const auto ranges = to_ranges(durable);
  std::size_t at = 0;
  do {
    wire::Stored stored;
    stored.pack = pack;
    const auto count = std::min(ranges.size() - at, limits::kStoredRangesMax);
    stored.durable.assign(ranges.begin() + static_cast<std::ptrdiff_t>(at),
                          ranges.begin() + static_cast<std::ptrdiff_t>(at + count));
    at += count;
    stored.complete = answer.complete && at == ranges.size();
    send_(client, stored);
  } while (at < ranges.size());
}

void Upload::reset(const Error& why) {
  for (const auto& [id, pack] : packs_) {
    for (const auto& client : pack.clients) {
      answer_error(client, id, why);
    }
  }
  packs_.clear();
  answers_.clear();
  writing_bytes_ = 0;
}

void Upload::drop(const ClientId& client) {
  forget_assembly(client);
  for (auto& [id, pack] : packs_) {
    pack.asked.erase(client);
    pack.clients.erase(client);
    answers_.erase({client, id});
  }
}

void Upload::forget_assembly(const ClientId& client) {
  const auto found = assemblies_.find(client);
  if (found == assemblies_.end()) return;
  INSTAR_ASSERT(assembly_bytes_ >= found->second.data.size());
  assembly_bytes_ -= found->second.data.size();
  assemblies_.erase(found);
}

void Upload::assert_invariants() const {
  known_.assert_invariants();
  std::size_t assembled = 0;
  for (const auto& [client, assembly] : assemblies_) assembled += assembly.data.size();
  INSTAR_ASSERT(assembled == assembly_bytes_ && assembled <= options_.assembly_bytes_max);
  INSTAR_ASSERT(writing_bytes_ <= options_.writing_bytes_max && packs_.size() <= options_.packs_max);
  for (const auto& [id, pack] : packs_) {
    INSTAR_ASSERT(pack.missing == static_cast<std::size_t>(std::count(pack.have.begin(), pack.have.end(), false)));
    INSTAR_ASSERT(pack.looked_up <= pack.have.size());
    INSTAR_ASSERT(!pack.completing || (pack.ready && pack.missing == 0));
  }
}

void Upload::answer_error(const ClientId& client, const PackId& pack, const Error& error) {
  wire::Stored stored;
  stored.pack = pack;
  stored.code = error.code;
  stored.reason = error.message;
  send_(client, stored);
}

}  // namespace instar::broker

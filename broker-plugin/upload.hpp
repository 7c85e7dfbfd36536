// Takes packs from operators, piece by piece. A directory or chunk that is whole is verified and committed, and
// answered when it is durable. Memory is bounded: one object for each client, and a bound over all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "broker-plugin/packs.hpp"
#include "core/artifact/pack.hpp"
#include "core/base/ids.hpp"
#include "core/base/limits.hpp"
#include "core/wire/messages.hpp"
#include "storage/store.hpp"

namespace instar::broker {

struct UploadOptions {
  std::size_t assembly_bytes_max = limits::kUploadAssemblyBytesMax;
  std::size_t writing_bytes_max = limits::kUploadWritingBytesMax;
  std::size_t clients_max = limits::kUploadClientsMax;
  std::size_t packs_max = limits::kUploadPacksMax;
};

class Upload {
 public:
  using Send = std::function<void(const ClientId& client, const wire::Stored&)>;
  // Commits, and calls back when the batch is durable. On failure nothing is called back, and reset() follows.
  using Commit = std::function<void(storage::Batch, std::function<void()>)>;
  // Asked before a pack of so many bytes is begun. An error is what its client is answered.
  using MakeRoom = std::function<Status(std::uint64_t bytes)>;

  Upload(storage::Store& store, Commit commit, Send send, UploadOptions options = {}, MakeRoom make_room = {});

  // Reads from the store which packs there are. To be called first, and again each time the store was opened again.
  [[nodiscard]] Status load(WallMs now) { return known_.load(now); }
  [[nodiscard]] Packs& packs() noexcept { return known_; }
  [[nodiscard]] const Packs& packs() const noexcept { return known_; }
  // Whether all of the pack is in the store, durably.
  [[nodiscard]] bool is_complete(const PackId& pack) const { return known_.is_complete(pack); }
  // Some client is uploading it.
  [[nodiscard]] bool is_uploading(const PackId& pack) const;
  // Packs that nobody is uploading go (Packs::remove).
  void remove(const std::vector<PackId>& packs);

  // Takes a piece from a client that may upload. An error is sent to the client and returned (for the log).
  [[nodiscard]] Status put(const ClientId& client, const wire::Put& put);
  void drop(const ClientId& client);
  // Sends the answers that have gathered. To be called once a tick; O(1) when there are none.
  void send_answers();
  // The store failed. Each client is answered with `why`, and its upload starts over when it sends the directory again.
  void reset(const Error& why);
  [[nodiscard]] std::size_t assembly_bytes() const noexcept { return assembly_bytes_; }
  void assert_invariants() const;

 private:
  struct Assembly {
    wire::PutKind kind = wire::PutKind::directory;
    PackId pack;
    std::uint32_t ordinal = 0;
    std::uint32_t total_bytes = 0;
    Bytes data;
    bool failed = false;  // an error was sent: further pieces of the same object are ignored
  };
  struct Pack {
    artifact::PackDirectory directory;
    std::vector<std::pair<ChunkHash, std::uint32_t>> by_hash;  // chunk → ordinal, sorted
    std::vector<bool> have;
    std::uint32_t missing = 0;
    std::uint32_t looked_up = 0;  // ordinals that the store has been asked about
    bool ready = false;           // the store has answered for all of them, and the directory is durable
    bool completing = false;      // the fact that it is complete is being written
    std::set<ClientId> asked;     // clients that wait for the answer to their directory
    std::set<ClientId> clients;   // clients that get an answer when it is complete
    std::uint64_t used = 0;       // when it was last used, to drop the one that was used longest ago
  };
  struct Answer {
    std::vector<std::uint32_t> durable;
    bool complete = false;
  };

  [[nodiscard]] Status assemble(const ClientId& client, const wire::Put& put, bool& whole);
  [[nodiscard]] Status take_directory(const ClientId& client, const PackId& pack, const Bytes& bytes);
  [[nodiscard]] Status take_chunk(const ClientId& client, const PackId& pack, std::uint32_t ordinal, Bytes bytes);
  void look_up(const PackId& id);
  void looked_up(const PackId& id, std::uint32_t first, const Result<std::vector<bool>>& found);
  void answer_directory(const PackId& id, Pack& pack);
  static void mark(Pack& pack, std::uint32_t ordinal);
  void complete_if_whole(const PackId& id, Pack& pack);
  void drop_oldest();
  void send_answer(const ClientId& client, const PackId& pack, Answer answer);
  void answer_error(const ClientId& client, const PackId& pack, const Error& error);
  void forget_assembly(const ClientId& client);

  storage::Store& store_;
  Commit commit_;
  Send send_;
  UploadOptions options_;
  MakeRoom make_room_;
  Packs known_;
  std::map<ClientId, Assembly> assemblies_;
  std::map<PackId, Pack> packs_;
  std::map<std::pair<ClientId, PackId>, Answer> answers_;
  std::size_t assembly_bytes_ = 0;
  std::size_t writing_bytes_ = 0;
  std::uint64_t uses_ = 0;
  std::shared_ptr<Upload*> self_;
};

// Turns ascending ordinals into ranges.
[[nodiscard]] std::vector<wire::OrdinalRange> to_ranges(const std::vector<std::uint32_t>& ordinals);
// Joins the nearest ranges until at most `ranges_max` are left. For lists in which a number too many does no harm.
[[nodiscard]] std::vector<wire::OrdinalRange> coarsen(std::vector<wire::OrdinalRange> ranges, std::size_t ranges_max);

}  // namespace instar::broker

// Opens what devices send: checks the signature, then reads. An Ed25519 check takes some 60 µs, so a broker that did it
// on its only thread would stand still for a second when ten thousand devices come back.
//
// One thread (the owner) calls everything; answers come on that thread, inside poll() or within the call itself. The
// answers of one device come in the order in which it was asked. Forms: InlineOpener (within the call), OpenerPool
// (threads).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "core/base/bytes.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/messages.hpp"

namespace instar::broker {

// A device brings its key in its hello: what it says counts only when the same key has signed it. Whether that is the
// key pinned for the device is the tracker's to say; it remembers another one for the operator. Errors: those of the
// envelope and of the codec; refused (of another device).
[[nodiscard]] Result<wire::Hello> open_hello(const DeviceId& device, ByteView payload);
// `key`: nullopt when the connection vouches for the device, and no signature is looked at.
[[nodiscard]] Result<wire::Report> open_report(const DeviceId& device, ByteView payload,
                                               const std::optional<trust::PublicKey>& key);

class Opener {
 public:
  using HelloDone = std::function<void(Result<wire::Hello>)>;
  using ReportDone = std::function<void(Result<wire::Report>)>;
  virtual ~Opener() = default;
  virtual void hello(const DeviceId& device, ByteView payload, HelloDone done) = 0;
  virtual void report(const DeviceId& device, ByteView payload, const trust::PublicKey& key, ReportDone done) = 0;
  // Runs callbacks of what has been opened, and returns how many; never waits. Not always all of them: what is left
  // wakes the owner again.
  virtual std::size_t poll() = 0;
  // Asked for and not yet called back.
  [[nodiscard]] virtual std::size_t pending() const noexcept = 0;
};

class InlineOpener final : public Opener {
 public:
  void hello(const DeviceId& device, ByteView payload, HelloDone done) override { done(open_hello(device, payload)); }
  void report(const DeviceId& device, ByteView payload, const trust::PublicKey& key, ReportDone done) override {
    done(open_report(device, payload, key));
  }
  std::size_t poll() override { return 0; }
  [[nodiscard]] std::size_t pending() const noexcept override { return 0; }
};

// `threads` of 1 or more. `wake` is called on a thread of the pool when poll() has something to do; it must not wait.
// The destructor drops what is still to be opened, without callbacks.
[[nodiscard]] std::unique_ptr<Opener> make_opener_pool(std::size_t threads, std::function<void()> wake);

}  // namespace instar::broker

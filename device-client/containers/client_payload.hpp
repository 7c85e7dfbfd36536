// The payload that is the client itself (docs/handlers.md): what its steps do on disk, and whether they end in the
// client that runs or in another one.
#pragma once

#include <string>

#include "core/base/result.hpp"
#include "device-client/containers/client_slots.hpp"
#include "device-client/containers/host_payload.hpp"
#include "device-client/process/helper_process.hpp"

namespace instar::device {

class ClientPayload {
 public:
  explicit ClientPayload(const std::string& state_dir) : state_dir_(state_dir), slots_(state_dir) {}

  // Puts the client into its slot. Returns the command that asks it for its version: a client that cannot even answer
  // that (of another architecture, or without a library that it needs) is not tried.
  [[nodiscard]] Result<HelperCommand> prepare(const PayloadPlan& plan) const;

  struct Taken {
    Status done;
    // The client in which the step ends is the one that runs. Otherwise this process must be replaced.
    bool runs = false;
  };
  // Tries the client, keeps it, or gives it back. A step that is repeated changes nothing.
  [[nodiscard]] Taken take(const PayloadStep& step) const;

 private:
  [[nodiscard]] Taken try_out(const PayloadPlan& plan) const;
  [[nodiscard]] Taken keep(const PayloadPlan& plan) const;
  [[nodiscard]] Taken give_back(const PayloadPlan& plan) const;

  std::string state_dir_;
  ClientSlots slots_;
};

}  // namespace instar::device

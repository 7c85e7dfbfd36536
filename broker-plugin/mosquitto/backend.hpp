// What the adapter drives: a service and the store it stands on.
#pragma once

#include <functional>
#include <memory>

#include "broker-plugin/mosquitto/options.hpp"
#include "broker-plugin/service.hpp"
#include "storage/store.hpp"

namespace instar::broker {

struct Backend {
  // Destroyed in reverse: the service before its store.
  std::unique_ptr<storage::Store> store;
  std::unique_ptr<Service> service;
};

// Reads the key and the root document, opens the store, makes the service. `wake` is called from the store's threads
// for as long as the store lives. Errors say which option or file is at fault and what to do.
[[nodiscard]] Result<Backend> open_backend(const PluginOptions& options, BrokerPort& port, TransferLog transfer_log,
                                           std::function<void()> wake);

}  // namespace instar::broker

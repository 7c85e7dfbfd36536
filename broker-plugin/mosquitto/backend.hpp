// What the adapter drives: a service and its store.
#pragma once

#include <functional>
#include <memory>

#include "broker-plugin/mosquitto/options.hpp"
#include "broker-plugin/service.hpp"
#include "storage/store.hpp"

namespace instar::broker {

struct Backend {
  // Members are destroyed in reverse order: the service before its store.
  std::unique_ptr<storage::Store> store;
  std::unique_ptr<Service> service;
};

// Reads the key and the root document, opens the store and makes the service. The store's threads call `wake` for as
// long as the store exists. Errors say which option or file is at fault and what to do.
[[nodiscard]] Result<Backend> open_backend(const PluginOptions& options, BrokerPort& port, TransferLog transfer_log,
                                           std::function<void()> wake);

}  // namespace instar::broker

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/rollout/exchange/record.hpp"
#include "storage/key_layout.hpp"
#include "tests/sim/adversary_checks.hpp"
#include "tests/sim/names.hpp"

namespace instar::sim {

void HelloCheck::said(const wire::Hello& hello) {
  said_[{hello.device.str(), {hello.boot, hello.connect}}].insert(hello.description.groups);
}

void HelloCheck::look(const std::string& device, const storage::MemoryStore& store) {
  if (!is_of_fleet(device)) return;
  const auto bytes = store.durable(storage::Column::devices, storage::device_key(*DeviceId::parse(device)));
  const auto record =
      bytes ? rollout::decode_device_record(*bytes) : Result<rollout::DeviceRecord>(fail(Code::not_found, ""));
  if (!record) return;
  auto& known = known_[device];
  const Number number{record->boot, record->connect};
  if (number < known.number) {
    world_.found("the broker's record of " + device + " goes back from its hello " +
                 std::to_string(known.number.first) + "." + std::to_string(known.number.second) + " to " +
                 std::to_string(number.first) + "." + std::to_string(number.second));
  }
  known.number = number;
  const auto said = said_.find({device, number});
  if (said == said_.end() || !said->second.contains(record->description.groups))
    world_.found("the broker has a record of " + device + " that no hello of it explains");
  const bool is_cloned = record->cloned.value != 0;
  if (known.is_cloned && !is_cloned) world_.found("the broker has forgotten that two devices speak as " + device);
  known.is_cloned = is_cloned;
  auto& instances = known.instances;
  if (record->instance == 0 || (!instances.empty() && instances.front() == record->instance)) return;
  if (std::ranges::count(instances, record->instance) > 0 && !is_cloned)
    world_.found("two devices speak as " + device + ", and the broker does not say so");
  instances.push_front(record->instance);
  if (instances.size() > limits::kInstancesKeptMax) instances.pop_back();
}

void HelloCheck::broker_crashed(const storage::MemoryStore& store) {
  for (const auto& [device, known] : known_) look(device, store);
}

}  // namespace instar::sim

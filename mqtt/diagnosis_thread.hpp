// Runs a diagnosis beside the owner's thread, one at a time.
#pragma once

#include <memory>
#include <optional>

#include "mqtt/diagnosis.hpp"

namespace instar::mqtt {

// All functions: owner's thread.
class DiagnosisThread {
 public:
  DiagnosisThread();
  // Tells a diagnosis that runs to end, and waits a moment for that. One that is resolving a name goes on without us:
  // it owns what it uses.
  ~DiagnosisThread();
  DiagnosisThread(const DiagnosisThread&) = delete;
  DiagnosisThread& operator=(const DiagnosisThread&) = delete;

  // Begins unless one runs, or the system gives no thread.
  void begin(Question question);
  [[nodiscard]] bool is_running() const noexcept { return running_; }
  // What was found, once. nullopt: it has not ended.
  [[nodiscard]] std::optional<Finding> take();
  // Readable when take() has something.
  [[nodiscard]] int fd() const noexcept;
  // As the destructor: nothing is found any more.
  void stop();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  bool running_ = false;
};

}  // namespace instar::mqtt

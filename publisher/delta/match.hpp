// Compares many files with their bases on several threads, within a bound of memory. The outcomes come in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/delta/index_delta.hpp"
#include "core/delta/make/maker.hpp"
#include "publisher/delta/bases.hpp"

namespace instar::publisher {

class DeltaMatcher {
 public:
  // A file of the new tree, and the base's file of the same path, or nullptr if there is none.
  struct Task {
    const artifact::Entry* fresh = nullptr;
    const artifact::Entry* place = nullptr;
  };
  // The contents and `work` must outlive this object. The threads start at once.
  DeltaMatcher(const Contents& base, const Contents& fresh, std::vector<Task> tasks, unsigned jobs,
               std::uint64_t bytes_max, const Work& work);
  DeltaMatcher(const DeltaMatcher&) = delete;
  DeltaMatcher& operator=(const DeltaMatcher&) = delete;
  // Waits for the files that are being compared.
  ~DeltaMatcher();

  // Waits for the outcome of the next task, in the order of the tasks, and returns it. For one thread.
  [[nodiscard]] Result<delta::FileDelta> next();

 private:
  void run();
  [[nodiscard]] Result<delta::FileDelta> match(const Task& task);
  [[nodiscard]] std::uint64_t working_bytes(const Task& task) const;

  const Contents& base_;
  const Contents& fresh_;
  const std::vector<Task> tasks_;
  std::vector<std::uint64_t> working_bytes_;  // of each task
  const std::uint64_t bytes_max_;
  const Work& work_;
  DeltaBases bases_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t taken_ = 0;
  std::size_t handed_out_ = 0;
  std::uint64_t bytes_ = 0;  // of files that are being compared, and of outcomes that wait
  std::map<std::size_t, Result<delta::FileDelta>> waiting_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace instar::publisher

// For tests: a script that takes the place of instar-lxc. Containers are `sleep` processes, named in files of a folder
// that the test can read and change. Every command is noted in `calls`.
#pragma once

#include <string>
#include <vector>

#include "files/testing/temporary_folder.hpp"

namespace instar::device {

class FakeHelper {
 public:
  FakeHelper();
  ~FakeHelper();
  FakeHelper(const FakeHelper&) = delete;
  FakeHelper& operator=(const FakeHelper&) = delete;

  std::string path() const { return folder_ / "helper"; }
  // The commands since the last call.
  std::vector<std::string> take_calls();
  int pid(const std::string& name) const;
  bool runs(const std::string& name) const;
  void kill_container(const std::string& name) const;
  // From now on the command fails for this container, until heal().
  void fail(const std::string& command, const std::string& name, const std::string& why) const;
  void heal(const std::string& command, const std::string& name) const;
  // The line that the helper prints for the next probes of the container.
  void answer_probe(const std::string& name, const std::string& json) const;
  // How the container's first program ends at the next stops: "itself" otherwise.
  void end_as(const std::string& name, const std::string& ending) const;
  void hang(const std::string& command) const;

 private:
  files::TemporaryFolder folder_;
};

}  // namespace instar::device

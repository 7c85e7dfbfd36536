// For tests: what a kill -9 between any two system calls of some work leaves behind.
#pragma once

#include <functional>

namespace instar::device {

// Runs `work` in a child that is killed instead of making its system call number `call`, counted from 0. Returns true
// if the work ended before that.
bool ends_before_call(int call, const std::function<void()>& work);

}  // namespace instar::device

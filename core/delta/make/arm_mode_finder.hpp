// Where the code of a program for 32-bit Arm is A32 and where it is Thumb, found by what it looks like: stripped files
// have no symbols that say it.
#pragma once

#include "core/base/bytes.hpp"
#include "core/delta/arm_modes.hpp"
#include "core/delta/elf_image.hpp"

namespace instar::delta {

// `image` is of `file`, and for 32-bit Arm. At most kDeltaArmSwitchesMax switches. A guess: where it is wrong,
// references are missed. Memory: a byte for each word of the largest section of code.
[[nodiscard]] ArmModes find_arm_modes(const ElfImage& image, ByteView file);

}  // namespace instar::delta

// As mask.hpp, for 32-bit Arm.
#pragma once

#include "core/delta/arm_modes.hpp"
#include "core/delta/elf_image.hpp"

namespace instar::delta {

[[nodiscard]] Bytes mask_arm_references(const ElfImage& image, ByteView file, const ArmModes& modes);

}  // namespace instar::delta

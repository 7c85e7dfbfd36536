// Root documents as an operator keeps them in files: the versions before the newest one, for devices and brokers that
// were away.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::publisher {

// Envelopes of root documents: of each of `paths`, which is a file, or a folder whose *.instar are read, and of the
// *.instar beside `newest`. What is no root document is passed over. Errors: not_found, io (of one of `paths`).
[[nodiscard]] Result<std::vector<Bytes>> read_roots(const std::vector<std::string>& paths, const std::string& newest);

// Of `found` those that come before `newest`, one after the other: each is the one whose hash the next names, signed by
// the keys that it names itself. In ascending order, the last is the one just before `newest`; it reaches as far down
// as they do.
[[nodiscard]] std::vector<Bytes> chain_before(ByteView newest, const std::vector<Bytes>& found);

// The versions that a device at version 1 would miss, "2" or "2 to 3"; empty: none. `chain`: of chain_before().
[[nodiscard]] std::string missing_before(std::uint32_t newest, const std::vector<Bytes>& chain);

}  // namespace instar::publisher

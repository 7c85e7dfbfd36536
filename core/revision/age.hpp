// What times say about a release: that it is too old, that its gate lies ahead of the device's clock or is stale, that
// the root document has expired. Which clock counts is TrustedTime's to know. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/revision/blocker.hpp"
#include "core/revision/trusted_time.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"

namespace instar::revision {

// The release may still begin. Errors: expired (it has, or its time to start is over); the message says by whose clock.
[[nodiscard]] Status check_age(const wire::Manifest& manifest, const JudgedTime& judged, const TrustedTime& time);

// The gate lies ahead of the device's own clock, as far as that can tell: it is not obeyed yet. Of its waves those are
// meant that a soak stands before.
[[nodiscard]] Blocker ahead_blocker(const wire::Manifest& manifest, const wire::Gate& gate, const TrustedTime& time,
                                    WallMs wall);
// Milliseconds until it does not any more; nullopt: it does not now.
[[nodiscard]] std::optional<std::int64_t> ms_ahead(const wire::Manifest& manifest, const wire::Gate& gate,
                                                   const TrustedTime& time, WallMs wall) noexcept;
// The gate was signed longer ago than its release allows, as far as the device's own clock can tell.
[[nodiscard]] Blocker stale_blocker(const wire::Manifest& manifest, const wire::Gate& gate, const TrustedTime& time,
                                    WallMs wall);
// The root document has expired.
[[nodiscard]] Blocker root_blocker(const trust::RootDocument& root, const TrustedTime& time, WallMs wall);

}  // namespace instar::revision

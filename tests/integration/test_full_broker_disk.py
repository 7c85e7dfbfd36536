"""The broker's disk is full: the operator hears that, and not that something should be sent again."""

import re

import pytest

from harness.operator import Refused
from harness.process import wait_for
from harness.site import Site

BALLAST_BYTES = 8 << 20  # RocksDB takes megabytes ahead for its log, where they are
FULL = "no space left on the broker's disk"


@pytest.fixture
def site(tmp_path, keys, small_disk):
    (small_disk / "ballast").write_bytes(bytes(BALLAST_BYTES))
    with Site(tmp_path, keys, options={"store_dir": str(small_disk / "store"), "disk_free_min": "0"}) as site:
        yield site


def fill(folder) -> None:
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass


def test_an_upload_without_room_is_refused_in_words(site, small_disk):
    fill(small_disk)
    with pytest.raises(Refused) as refused:
        site.publish("1.0", noise_bytes=500_000)
    assert refused.value.code == 4
    assert FULL in refused.value.err, refused.value.err


def test_a_manifest_that_cannot_be_written_is_refused_in_words(site, small_disk):
    """Its packs are there already, so that only the record of the rollout is to be written."""
    site.publish("1.0")
    fill(small_disk)
    with pytest.raises(Refused) as refused:
        for number in range(2, 200):
            site.operator.publish(f"{number}.0", site.folder / "trees/1.0")
    assert refused.value.code == 4, refused.value.err
    assert re.search(FULL, refused.value.err), refused.value.err
    # To open again the store needs room for what its log holds.
    (small_disk / "filler").unlink()
    (small_disk / "ballast").unlink()
    wait_for("the store works again", lambda: "the store works again" in site.broker.log_text())
    site.operator.publish("300.0", site.folder / "trees/1.0")

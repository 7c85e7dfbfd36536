"""A link of 64 kbit/s that breaks in the middle of a fetch, with a real broker at its other end: what has arrived is paid for once, and the
next connection asks for the rest before it has heard a word."""

import pytest
from harness.link_watch import LinkWatch
from harness.process import wait_for
from harness.site import Site, sent_twice

RATE = 8_000  # bytes a second
NEW_BYTES = 160_000
# A connection counts as one that lasted from 5 s on; the link brings no more than this in that time.
LASTED_BYTES = 6 * RATE
# What is around a piece that was cut off, and comes once more around the rest.
FRAME_BYTES = 512


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


@pytest.mark.parametrize("breaks", ["cut", "half_close"])
def test_a_cut_costs_next_to_nothing(site, breaks):
    device = site.add_device("far", shaped=True)
    site.wait_for_counts(site.publish("1.0"), {"committed": 1})
    before = len(site.broker.transfers())
    shaper = site.shapers[0]
    first = shaper.connections
    watch = LinkWatch(shaper)
    device.stop()
    rollout = site.publish("2.0", changed_bytes=NEW_BYTES)
    shaper.rate_down, shaper.rate_up, shaper.delay_s = RATE, RATE, 0.3
    device.start()
    for cut in range(1, 3):
        came = watch.chunk_bytes
        wait_for("enough has come to cut", lambda: watch.chunk_bytes - came > LASTED_BYTES)
        # In the middle of a piece.
        wait_for("a piece is half there", lambda: watch.held() > 1_000, interval_s=0.01)
        getattr(shaper, breaks)()
        wait_for("the next connection brings something", lambda: len(watch.first_pieces) == 1 + cut)
    shaper.rate_down = shaper.rate_up = None
    site.wait_for_counts(rollout, {"committed": 1})

    transfers = site.broker.transfers()[before:]
    size = sum(transfer.bytes for transfer in transfers) - sum(sent_twice(transfers).values())
    assert size > NEW_BYTES
    assert watch.chunk_bytes + watch.bytes_cut_off - size <= 2 * FRAME_BYTES, "what had arrived came again"
    # Nothing connects in between to find out what is wrong, and nobody waits for CONNACK.
    assert shaper.connections == first + 3
    assert watch.asked_at_once == [first + 2, first + 3]

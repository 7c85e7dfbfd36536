"""A link of 12 kbit/s with half a second each way: an update gets through, and no byte is paid for twice."""

import pytest
from harness.site import Site, sent_twice

RATE = 1_500  # bytes a second
NEW_BYTES = 30_000


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def test_update_over_a_link_like_2g(site):
    device = site.add_device("far", shaped=True)
    site.wait_for_counts(site.publish("1.0"), {"committed": 1})
    before = len(site.broker.transfers())
    shaper = site.shapers[0]
    shaper.rate_down, shaper.rate_up, shaper.delay_s, shaper.jitter_s = RATE, RATE, 0.5, 0.2
    rollout = site.publish("2.0", changed_bytes=NEW_BYTES)
    shown = site.wait_for_counts(rollout, {"committed": 1})
    transfers = site.broker.transfers()[before:]
    assert sum(sent_twice(transfers).values()) == 0
    sent = sum(transfer.bytes for transfer in transfers)
    assert sent == shown["bytes_sent"] > NEW_BYTES
    assert shaper.connections == 1, "the connection was lost under the load"
    # What the device counted as arrived is what was sent to it.
    member = next(row for row in site.operator.ask("rollout", "show", rollout, "--devices")["members"] if row["device"] == device.id)
    assert member["bytes_fetched"] == sent

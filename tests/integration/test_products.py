"""Two products in one group: neither takes the other's place, and what a release that has ended hid comes back."""

import pytest
from harness import forge
from harness.operator import Refused
from harness.process import wait_for
from harness.site import Site
from harness.topics import gate_topic, manifest_topic

GROUP = "test/line"


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def retained(site: Site, topic: str) -> bytes:
    with site.broker.client("op-reader") as client:
        client.subscribe(topic)
        return next((packet.payload for packet in client.drain() if packet.retained), b"")


def offered(site: Site, product: str = "test-box") -> str:
    """The release that stands on the product's topic, and which its gate opens; empty while the two do not fit."""
    manifest, gate = retained(site, manifest_topic(GROUP, product)), retained(site, gate_topic(GROUP, product))
    if not manifest or not gate:
        return ""
    opened = forge.unflat("gate", forge.payload_of(gate))
    if bytes(opened["manifest"]["bytes"]) != forge.digest(forge.payload_of(manifest)) or opened.get("state", 0) not in (0, "open"):
        return ""
    return forge.unflat("manifest", forge.payload_of(manifest))["release"]


def lose_what_is_retained(site: Site) -> None:
    site.broker.kill()
    (site.broker.folder / "mosquitto.db").unlink(missing_ok=True)
    site.broker.start()


def test_each_product_of_a_group_has_its_own_releases_also_for_those_that_come_late(site):
    press = site.add_device("press", product="press")
    box = site.add_device("box")
    site.publish("1.0")
    site.publish("5.0", product="press")
    press.wait_for_release("5.0")
    box.wait_for_release("1.0")
    typo = site.publish("1.1", product="test-bxo")
    assert "listening to test, test/line for product press" in press.log_text()
    late_box = site.add_device("late-box")
    late_press = site.add_device("late-press", product="press")
    late_box.wait_for_release("1.0")
    late_press.wait_for_release("5.0")
    site.operator.ask("rollout", "abort", typo)
    lose_what_is_retained(site)
    for name, product, release in (("last-box", "test-box", "1.0"), ("last-press", "press", "5.0")):
        site.add_device(name, product=product).wait_for_release(release)
    groups = {row["group"]: row for row in site.operator.ask("groups")["groups"]}
    assert {row["product"]: row["release"] for row in groups[GROUP]["rollouts"]} == {"test-box": "1.0", "press": "5.0", "test-bxo": "1.1"}
    for device in site.devices:
        assert "is refused" not in device.log_text(), "nobody hears of the other products' releases"


def test_an_abort_offers_the_release_again_that_had_stood_there(site):
    first = site.add_device("first")
    site.publish("1.0")
    first.wait_for_release("1.0")
    second = site.publish("2.0", options=("--wave", f"{first.id}:approval"))
    first.wait_for_release("2.0")
    assert offered(site) == "2.0"
    site.operator.ask("rollout", "abort", second)
    wait_for("1.0 is offered again", lambda: offered(site) == "1.0")
    site.add_device("late").wait_for_release("1.0")
    lose_what_is_retained(site)
    wait_for("it stands there after a restart", lambda: offered(site) == "1.0")
    assert first.release == "2.0", "who has committed stays with it"
    site.publish("3.0")
    for device in site.devices:
        device.wait_for_release("3.0")


def test_a_device_that_was_away_learns_that_what_it_runs_was_taken_back(site):
    away = site.add_device("away")
    site.publish("1.0")
    away.wait_for_release("1.0")
    second = site.publish("2.0", options=("--wave", f"{away.id}:approval", "--revert-allowed"))
    away.wait_for_release("2.0")
    away.stop()
    site.operator.ask("rollout", "revert", second)
    wait_for("another gate stands on the topic", lambda: offered(site) == "1.0")
    away.start()
    away.wait_for_release("1.0")


def test_a_device_of_another_product_than_before_hears_no_more_of_that_one(site):
    device = site.add_device("changed", product="press")
    device.wait_until_up()
    wait_for("the broker knows it", lambda: device.id in [row["device"] for row in site.operator.ask("devices", "list")["devices"]])
    device.stop()
    device.settings |= {"product": "test-box", "groups": "test/other"}
    device.start()
    device.wait_until_up()
    site.publish("5.0", product="press")
    topic = manifest_topic(GROUP, "press")
    wait_for("it leaves that topic", lambda: f"unsubscribing from {topic}" in device.log_text())
    site.publish("1.0", groups=["test/other"])
    device.wait_for_release("1.0")
    assert "listening to test, test/other for product test-box" in device.log_text()


def test_a_product_is_one_topic_level_everywhere(site):
    tree = site.tree("1.0")
    for bad in ("press.2", "press 2", "press/2", "prëss", "p" * 65):
        with pytest.raises(Refused, match="it is a topic level: no dot, no space, no slash"):
            site.operator.publish("1.0", tree, product=bad)
    device = site.add_device("dotted", product="press.2", start=False)
    device.start()
    wait_for("it ends", lambda: not device.process.is_running())
    assert "product = press.2: must be 1 to 64 of A-Z a-z 0-9 _ -" in device.log_text()

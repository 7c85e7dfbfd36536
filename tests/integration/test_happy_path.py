"""Install, update, roll back, on a real broker with real containers."""

import pytest
from harness.operator import health
from harness.process import wait_for
from harness.site import Site


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def test_install_update_and_roll_back(site):
    devices = [site.add_device("a"), site.add_device("b")]
    one = site.publish("1.0", noise_bytes=600_000)
    shown = site.wait_for_counts(one, {"committed": 2})
    assert shown["bytes_sent"] > 600_000
    for device in devices:
        assert device.release == "1.0"
        assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"

    # An update moves only what changed.
    two = site.publish("2.0", noise_bytes=600_000, changed_bytes=50_000)
    shown = site.wait_for_counts(two, {"committed": 2})
    assert 2 * 50_000 < shown["bytes_sent"] < 2 * 400_000
    for device in devices:
        assert device.release == "2.0"
        assert device.ask("app", "/bin/cat", "/www/version") == "2.0\n"

    # A release that starts but is not well goes back, and says why.
    three = site.publish("3.0", noise_bytes=600_000, healthy=False)
    shown = site.wait_for_counts(three, {"rolled_back": 2})
    assert any("another one than" in reason["reason"] or "probe" in reason["reason"] for reason in shown["reasons"])
    for device in devices:
        assert device.release == "2.0"
        assert device.ask("app", "/bin/cat", "/www/version") == "2.0\n"

    # One whose init ends at once, too.
    four = site.publish("4.0", noise_bytes=600_000, starts=False)
    site.wait_for_counts(four, {"rolled_back": 2})
    for device in devices:
        assert device.ask("app", "/bin/cat", "/www/version") == "2.0\n"


def test_device_that_comes_later_gets_the_release(site):
    rollout = site.publish("1.0")
    device = site.add_device("late")
    device.wait_for_release("1.0")
    site.wait_for_counts(rollout, {"committed": 1})


def test_containers_outlive_the_client(site):
    device = site.add_device("a")
    site.wait_for_counts(site.publish("1.0"), {"committed": 1})
    pid = device.container_pid("app")
    for end in (device.stop, device.kill):
        end()
        assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"
        device.start()
        wait_for("the device is back", lambda: site.operator.device(device.id)["online"])
        assert device.container_pid("app") == pid


def test_volume_outlives_revisions_and_rollbacks(site):
    device = site.add_device("a")
    def container(release):
        artifact = str(site.operator.pack(site.tree(release, healthy=release != "3.0")))
        return [{"name": "app", "artifact": artifact, "init": ["/sbin/service"], "volumes": [{"name": "data", "path": "/var/lib/data"}],
                 "health": health(settle="300ms", interval="100ms")}]
    site.wait_for_counts(site.publish("1.0", containers=container("1.0")), {"committed": 1})
    device.ask("app", "/bin/sh", "-c", "echo kept > /var/lib/data/note; echo lost > /etc/note")
    site.wait_for_counts(site.publish("2.0", containers=container("2.0")), {"committed": 1})
    assert device.ask("app", "/bin/cat", "/var/lib/data/note") == "kept\n"
    assert "note" not in device.ask("app", "/bin/ls", "/etc")
    site.wait_for_counts(site.publish("3.0", containers=container("3.0")), {"rolled_back": 1})
    assert device.ask("app", "/bin/cat", "/var/lib/data/note") == "kept\n"


def test_broker_that_starts_again_knows_everything(site):
    device = site.add_device("a")
    rollout = site.publish("1.0")
    before = site.wait_for_counts(rollout, {"committed": 1})
    site.broker.kill()
    site.broker.start()
    after = site.operator.rollout(rollout)
    for field in ("product", "release", "sequence", "groups", "counts", "bytes_sent"):
        assert after[field] == before[field]
    wait_for("the device is back", lambda: site.operator.device(device.id)["online"])
    site.wait_for_counts(site.publish("2.0"), {"committed": 1})

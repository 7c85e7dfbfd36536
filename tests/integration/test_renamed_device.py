"""Another device_id, another product, another key on what a device has: what runs goes on, nothing is fetched for it, and the operator sees it."""

import subprocess

from harness.process import INSTAR, wait_for
from harness.site import Site


def said(site, *arguments) -> str:
    """What the command prints for people, with single spaces."""
    done = subprocess.run([str(INSTAR), *arguments, "--broker", f"mqtt://127.0.0.1:{site.broker.port}"], capture_output=True, text=True, check=True)
    return " ".join((done.stdout + done.stderr).split())


def test_a_renamed_device_goes_on_under_its_new_name(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        device = site.add_device("old")
        old = device.id
        site.wait_for_counts(site.publish("1.0"), {"committed": 1})
        sent = len(site.broker.transfers())
        device.stop()
        device.id = f"new-{site.mark}"
        device.settings["device_id"] = device.id
        device.start()
        wait_for("it runs under its new name", lambda: device.containers() == [f"{device.id}.app"] and device.container_pid("app") != 0)
        assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"
        assert f"this device's state is that of {old}" in device.log_text()
        assert len(site.broker.transfers()) == sent, "nothing is fetched for a name"
        wait_for("the operator sees it", lambda: (site.operator.device(device.id).get("running") or {}).get("release") == "1.0")
        site.operator.ask("devices", "forget", old)
        for release in ("2.0", "3.0"):
            site.wait_for_counts(site.publish(release), {"committed": 1})
            assert device.ask("app", "/bin/cat", "/www/version") == f"{release}\n"
        # No container is left that nobody cares for.
        listed = subprocess.run(["lxc-ls", "-P", str(device.lxc_path), "-1"], capture_output=True, text=True, check=True).stdout.split()
        assert listed == [f"{device.id}.app"]
        # A start later it is nothing new any more.
        device.restart()
        device.wait_until_up()
        assert device.log_text().count(f"this device's state is that of {old}") == 1


def test_a_new_product_begins_with_its_first_release(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        device = site.add_device("box")
        for release in ("1.0", "1.1", "1.2"):
            site.wait_for_counts(site.publish(release), {"committed": 1})
        device.stop()
        device.settings["product"] = "other-box"
        device.start()
        device.wait_until_up()
        wait_for("its container is looked after", lambda: device.container_pid("app") != 0)
        assert device.ask("app", "/bin/cat", "/www/version") == "1.2\n", "it runs until the new product's release comes"
        assert device.status()["highest_sequence"] == 0
        rollout = site.publish("0.1", product="other-box")
        site.wait_for_counts(rollout, {"committed": 1})
        assert device.ask("app", "/bin/cat", "/www/version") == "0.1\n"


def test_a_device_that_was_installed_again_is_shown_with_the_way_in(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        device = site.add_device("box")
        site.wait_for_counts(site.publish("1.0"), {"committed": 1})
        device.stop()
        (device.state_dir / "identity.key").unlink()
        device.start()
        wait_for("another key is noticed", lambda: "other_key_id" in site.operator.device(device.id))
        key = site.operator.device(device.id)["other_key_id"]
        assert f"instar devices replace {device.id} --key-id {key}" in said(site, "devices", "show", device.id)
        assert "other key" in said(site, "devices", "list")
        said(site, "devices", "replace", device.id, "--key-id", key)
        wait_for("it is taken in", lambda: "other_key_id" not in site.operator.device(device.id) and site.operator.device(device.id)["public_key"])
        site.wait_for_counts(site.publish("2.0"), {"committed": 1})


def test_a_move_says_what_will_run(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        device = site.add_device("box", groups="test/beta")
        site.operator.publish("stable-1", site.tree("stable-1"), groups=["test/stable"])
        beta = site.operator.publish("beta-1", site.tree("beta-1"), groups=["test/beta"])["rollout"]
        site.wait_for_counts(beta, {"committed": 1})
        signed = ("--root", str(keys.root), "--key", str(keys.release))
        moved = site.operator.ask("devices", "group", device.id, "--groups", "test/stable", *signed)["devices"][0]
        assert moved["next"]["release"] == "stable-1" and not moved["next"]["taken"]
        assert "stays with beta-1" in moved["next"]["text"] and "publish that content again" in moved["next"]["text"]
        again = site.operator.publish("stable-2", site.tree("stable-2"), groups=["test/stable"])["rollout"]
        site.wait_for_counts(again, {"committed": 1})

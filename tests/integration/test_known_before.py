"""What a machine or a configuration lacks is known before the first byte: `check-config` and the start say it, and releases are refused with
the reason.
"""

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest
from harness.operator import Refused
from harness.process import DEVICE, LXC_HELPER, wait_for
from harness.site import Site

OK, FAILED, BAD_INPUT = 0, 1, 5


@contextmanager
def overlay(folder):
    for name in ("lower", "upper", "work", "merged"):
        (folder / name).mkdir(parents=True)
    options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(folder / "merged")], check=True)
    try:
        yield folder / "merged"
    finally:
        subprocess.run(["umount", "-l", str(folder / "merged")], check=True)


def check(config) -> tuple[int, str]:
    done = subprocess.run([str(DEVICE), "check-config", str(config)], capture_output=True, text=True)
    return done.returncode, done.stderr


def degraded(site, device) -> str:
    """As the operator sees it; empty too while the broker does not know the device yet."""
    try:
        return "".join(site.operator.device(device.id)["degraded"])
    except Refused:
        return ""


def refused(site, device) -> str:
    sent = site.broker.bytes_sent(device.id)
    shown = site.wait_for_counts(site.publish("1.0"), {"refused": 1})
    assert site.broker.bytes_sent(device.id) == sent, "before the first byte"
    return shown["reasons"][0]["reason"]


def test_a_state_folder_on_an_overlay(tmp_path, keys):
    with overlay(tmp_path / "over") as place, Site(tmp_path, keys) as site:
        device = site.add_device("ov", state_dir=place / "state")
        code, said = check(device.config)
        assert code == FAILED and "cannot be the upper layer of an overlay" in said and "put state_dir on ext4" in said
        device.wait_until_up()
        wait_for("the operator sees it", lambda: "upper layer" in degraded(site, device))
        assert "upper layer" in device.log_text()
        assert "no container can run on this device" in refused(site, device)


def test_a_helper_that_cannot_run(tmp_path, keys):
    helper = tmp_path / "instar-lxc"
    helper.write_text("#!/bin/sh\necho 'instar-lxc: error while loading shared libraries: liblxc.so.1: no such file' >&2\nexit 127\n")
    helper.chmod(0o755)
    with Site(tmp_path, keys) as site:
        device = site.add_device("nolxc", settings={"lxc_helper": helper})
        code, said = check(device.config)
        assert code == FAILED and "liblxc.so.1" in said and "install LXC's library" in said
        device.wait_until_up()
        assert "liblxc.so.1" in refused(site, device)
        # Put right, it takes the release after a start.
        device.stop()
        device.settings["lxc_helper"] = LXC_HELPER
        device.start()
        site.wait_for_counts(site.publish("1.1"), {"committed": 1})


def test_a_good_configuration_is_good(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        device = site.add_device("good", start=False)
        device.configure()
        assert check(device.config) == (OK, "")
        assert not device.state_dir.exists(), "a check leaves nothing behind"


@pytest.mark.parametrize("settings,words", [
    ({"root_file": "/none/root.instar"}, "root_file = /none/root.instar: No such file"),
    ({"ca_file": "/none/ca.pem", "allow_plain_password": "yes"}, "ca_file = /none/ca.pem: No such file"),
    ({"username": "u", "password_file": "/none/password"}, "password_file = /none/password: No such file"),
    ({"watchdog": "/dev/none"}, "watchdog = /dev/none: there is no such device"),
    ({"device_id": "press-12"}, "device_id = press-12"),
    ({"server": "tcp://broker.example:1883"}, "broker.example"),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_mistakes_are_named(tmp_path, keys, settings, words):
    with Site(tmp_path, keys) as site:
        device = site.add_device("bad", start=False, settings=settings)
        device.configure()
        code, said = check(device.config)
        assert code == BAD_INPUT and words in said


def test_secrets_that_others_read_are_named(tmp_path, keys):
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o644)
    with Site(tmp_path, keys) as site:
        device = site.add_device("open", start=False, settings={"username": "u", "password_file": password})
        device.configure()
        code, said = check(device.config)
        assert code == BAD_INPUT and f"chmod 600 {password}" in said
        password.chmod(0o600)
        assert check(device.config) == (OK, "")


def test_the_example_as_it_is_shipped_is_no_configuration(tmp_path):
    config = tmp_path / "device.conf"
    shutil.copy(os.path.join(os.path.dirname(__file__), "../../deploy/device.conf"), config)
    code, said = check(config)
    assert code == BAD_INPUT and "broker.example" in said and "press-12" in said


def test_containers_run_without_a_connection_to_try(tmp_path, keys):
    """A password file that is gone keeps a device from its broker, and nothing else."""
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    with Site(tmp_path, keys) as site:
        device = site.add_device("gone", settings={"username": "u", "password_file": password})
        site.wait_for_counts(site.publish("1.0"), {"committed": 1})
        device.stop()
        subprocess.run(["lxc-stop", "-k", "-P", str(device.lxc_path), "-n", f"{device.id}.app"], check=True)
        password.unlink()
        device.start()
        wait_for("what is committed runs", lambda: device.container_pid("app") != 0)
        assert device.process.is_running()
        wait_for("the log says why it is not connected", lambda: "there is no connection to" in device.log_text())
        assert str(password) in device.log_text()

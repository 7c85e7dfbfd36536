"""The chain of root documents: a device that was away follows it, a damaged state file loses none of it, and a broker that was restored is told."""

import shutil
import subprocess
from pathlib import Path

import pytest
from harness.operator import Keys, Refused, run
from harness.process import DEVICE, HANGS_S, INSTAR, wait_for
from harness.site import Site

PREFIX = "instar/v1"


class Chain:
    """Root documents of one fleet. Each new one takes the release key of the one before out, and its root key too."""

    def __init__(self, folder: Path, keys: Keys):
        self.folder, self.keys = folder, keys
        self.files = {1: keys.root}
        self.root_key = keys.folder / "root.key"

    @property
    def newest(self) -> int:
        return max(self.files)

    def add(self) -> Path:
        version = self.newest + 1
        current, fresh = self.files[self.newest], self.folder / f"keys-{version}"
        run(["keygen", str(fresh)])
        out = self.folder / f"root-{version}" / "root.instar"
        out.parent.mkdir()
        roles = {role["role"]: role["keys"] for role in run(["root", "show", str(current)])["roles"]}
        removed = [part for key in roles["release"] + roles["root"] for part in ("--remove-key", key)]
        run(["root", "new-version", str(current), "-o", str(out), "--key", str(self.root_key), "--key", str(fresh / "root.key"),
             "--add-release-key", str(fresh / "release.pub"), "--add-root-key", str(fresh / "root.pub"), *removed])
        self.files[version], self.root_key = out, fresh / "root.key"
        self.keys.root, self.keys.release = out, fresh / "release.key"
        return out


@pytest.fixture
def chain(tmp_path) -> Chain:
    return Chain(tmp_path, Keys(tmp_path / "keys"))


@pytest.fixture
def site(tmp_path, chain):
    with Site(tmp_path / "site", chain.keys) as made:
        yield made


def first_root(site, chain, name: str, **options):
    """A device that was provisioned with root 1."""
    newest, chain.keys.root = chain.keys.root, chain.files[1]
    device = site.add_device(name, **options)
    chain.keys.root = newest
    return device


def retained(site, topic: str) -> bytes:
    """What stands there; empty: nothing."""
    with site.broker.client("op-looks") as client:
        client.subscribe(f"{PREFIX}/{topic}")
        return b"".join(bytes(message.payload) for message in client.drain() if message.topic == f"{PREFIX}/{topic}")


def root_version(site, device) -> int:
    try:
        return site.operator.device(device.id)["root_version"]
    except Refused:  # it has not said hello
        return 0


def install(device, bundle: Path) -> subprocess.CompletedProcess:
    return subprocess.run([str(DEVICE), "install", str(bundle), "--config", str(device.config)], capture_output=True, text=True,
                          timeout=2 * HANGS_S)


def publish_all(site, chain, until: int = 4) -> None:
    while chain.newest < until:
        site.operator.ask("root", "publish", str(chain.add()))


def test_a_newborn_device_at_the_first_root_takes_a_release_of_the_fourth(site, chain):
    publish_all(site, chain)
    for version, file in chain.files.items():
        assert retained(site, f"root/{version}") == file.read_bytes()
    device = first_root(site, chain, "newborn")
    rollout = site.publish("2.0")
    site.wait_for_counts(rollout, {"committed": 1})
    assert device.release == "2.0" and device.status()["root_version"] == 4
    assert site.operator.device(device.id)["root_version"] == 4
    again = site.operator.ask("root", "publish", str(chain.files[2]))
    assert not again["published"], "the broker has it"


@pytest.mark.parametrize("remedy", ["root publish", "mosquitto_pub"])
def test_a_chain_with_holes_is_filled_by_the_operator(tmp_path, chain, remedy):
    """The broker was set up with the newest document: it never had those before."""
    while chain.newest < 4:
        chain.add()
    with Site(tmp_path / "site", chain.keys) as site:
        device = first_root(site, chain, "late")
        wait_for("the device asks", lambda: "asking for version 2" in device.log_text())
        for version in (3, 2):
            if remedy == "root publish":
                assert site.operator.ask("root", "publish", str(chain.files[version]))["kept"] == version
                continue
            subprocess.run(["mosquitto_pub", "-p", str(site.broker.port), "-q", "1", "-r", "-V", "5", "-t", f"{PREFIX}/root", "-f",
                            str(chain.files[version])], check=True, timeout=HANGS_S)
        wait_for("the device has followed", lambda: device.status().get("root_version") == 4)
        site.wait_for_counts(site.publish("2.0"), {"committed": 1})
        assert device.release == "2.0"
        assert site.operator.ask("rollout", "list")["root_version"] == 4, "the newest stays in force"


def test_a_bundle_brings_the_chain(site, chain):
    publish_all(site, chain)
    device = first_root(site, chain, "far", start=False)
    device.configure()
    site.broker.stop()
    spec = site.operator.describe("2.0", site.operator.pack(site.tree("2.0")))
    bundle = site.folder / "2.0.bundle"
    make = ["publish", str(spec), "--root", str(chain.files[4]), "--key", str(chain.keys.release), "--bundle", str(bundle), "--dry-run",
            "--sequence", "9", "--no-delta"]
    nowhere = f"mqtt://127.0.0.1:{site.broker.port}"
    run([*make, "--timeout", "2s"], broker=nowhere)
    refused = install(device, bundle)
    assert refused.returncode != 0 and "version 2 is in neither" in refused.stderr, "it could only wait"
    run([*make, "--root-chain", str(chain.files[2]), "--root-chain", str(chain.files[3]), "--timeout", "2s"], broker=nowhere)
    installed = install(device, bundle)
    assert installed.returncode == 0, installed.stderr + installed.stdout
    assert device.release == "2.0" and device.status()["root_version"] == 4


def test_a_bundle_takes_the_chain_from_the_broker(site, chain):
    publish_all(site, chain)
    device = first_root(site, chain, "far", start=False)
    device.configure()
    bundle = site.folder / "2.0.bundle"
    site.publish("2.0", options=("--bundle", str(bundle)))
    installed = install(device, bundle)
    assert installed.returncode == 0, installed.stderr + installed.stdout
    assert device.status()["root_version"] == 4


@pytest.mark.parametrize("damage", ["a flipped bit", "the state file is gone", "the anchor has a flipped bit", "the anchor is gone"])
def test_damage_of_one_file_loses_neither_root_nor_sequence(site, chain, damage):
    device = site.add_device("d")
    site.wait_for_counts(site.publish("1.0"), {"committed": 1})
    publish_all(site, chain, 3)
    wait_for("the device has followed", lambda: device.status().get("root_version") == 3)
    site.wait_for_counts(site.publish("2.0"), {"committed": 1})
    highest = device.status()["highest_sequence"]
    old_key = chain.keys.folder / "release.key"
    device.stop()
    file = device.state_dir / ("anchor" if "anchor" in damage else "state")
    raw = file.read_bytes()
    if "gone" in damage:
        file.unlink()
    else:
        file.write_bytes(raw[:100] + bytes([raw[100] ^ 1]) + raw[101:])
    device.start()
    device.wait_until_up()
    # What is on offer it takes again where it has lost it.
    device.wait_for_release("2.0")
    status = device.status()
    assert (status["root_version"], status["highest_sequence"]) == (3, highest)
    with pytest.raises(Refused):
        site.publish("9.0", key=old_key)
    # Somebody else's broker, with the key that was taken away and the root document of then.
    device.stop()
    old = Keys.__new__(Keys)
    old.folder, old.root, old.release, old.gate = chain.keys.folder, chain.files[1], old_key, chain.keys.gate
    with Site(site.folder / "rogue", old) as rogue:
        device.settings["server"] = f"tcp://127.0.0.1:{rogue.broker.port}"
        device.start()
        rogue.publish("9.0", options=("--sequence", str(highest + 7)))
        wait_for("it refuses what the old key has signed", lambda: "a manifest is refused (untrusted_key)" in device.log_text())
        assert device.status()["root_version"] == 3 and device.release == "2.0"
        device.stop()
    device.settings["server"] = f"tcp://127.0.0.1:{site.broker.port}"
    device.start()
    site.publish("3.0")
    device.wait_for_release("3.0")


def test_what_a_removed_key_has_signed_is_withdrawn(site, chain):
    device = site.add_device("d", groups="other/line")
    rollout = site.publish("1.0")
    topic = f"manifest/{site.operator.group}/{site.operator.product}"
    assert retained(site, topic)
    publish_all(site, chain, 2)
    wait_for("the manifest is withdrawn", lambda: not retained(site, topic))
    shown = site.operator.rollout(rollout)
    assert shown["state"] == "aborted" and "keys that the root document does not name" in shown["cause"]
    site.broker.restart()
    assert not retained(site, topic)
    assert retained(site, "root/1") == chain.files[1].read_bytes()
    assert device.release == ""


def test_a_restored_broker_is_told_and_put_right(site, chain, tmp_path):
    device = site.add_device("d")
    wait_for("the device is known", lambda: root_version(site, device) == 1)
    site.broker.stop()
    store = Path(site.broker.folder) / "store"
    shutil.copytree(store, tmp_path / "backup")
    site.broker.start()
    publish_all(site, chain, 3)
    wait_for("the device has followed", lambda: device.status().get("root_version") == 3)
    site.broker.stop()
    shutil.rmtree(store)
    shutil.copytree(tmp_path / "backup", store)
    for saved in Path(site.broker.folder).glob("*.db"):
        saved.unlink()
    site.broker.start()
    wait_for("it is told", lambda: (site.operator.rollouts().get("root_behind") or {}).get("newest") == 3)
    assert site.operator.rollouts()["root_behind"] == {"ours": 1, "newest": 3, "devices": 1}
    assert "holds root document 3, and this broker 1" in site.broker.log_text()
    # One command brings all that is missing.
    done = site.operator.ask("root", "publish", str(chain.files[3]), "--root-chain", str(chain.files[2]))
    assert (done["version_before"], done["version"]) == (1, 3)
    site.wait_for_counts(site.publish("2.0"), {"committed": 1})
    assert not site.operator.rollouts()["root_behind"]


def test_root_documents_expire_unless_told_otherwise(tmp_path):
    keys = Keys(tmp_path / "keys")
    shown = run(["root", "show", str(keys.root)])
    assert 729 * 86_400_000 < shown["expires_ms"] - shown["issued_ms"] <= 731 * 86_400_000
    for expires, days in (("never", None), ("20d", 20)):
        out = tmp_path / f"{expires}.instar"
        run(["root", "new-version", str(keys.root), "-o", str(out), "--key", str(keys.folder / "root.key"), "--expires", expires])
        shown = run(["root", "show", str(out)])
        assert shown["expires_ms"] == (shown["issued_ms"] + days * 86_400_000 if days else 0)
    keys.root = tmp_path / "20d.instar"
    with Site(tmp_path / "site", keys) as site:
        assert "root document 2 expires on" in site.broker.log_text()
        device = site.add_device("d")
        wait_for("the device says so", lambda: "root document 2 expires on" in device.log_text())
        spec = site.operator.describe("1.0", site.operator.pack(site.tree("1.0")))
        for command in (["rollout", "list"], ["publish", str(spec), "--root", str(keys.root), "--key", str(keys.release)]):
            asked = [str(INSTAR), *command, "--broker", f"mqtt://127.0.0.1:{site.broker.port}"]
            done = subprocess.run(asked, capture_output=True, text=True, timeout=HANGS_S)
            assert "root document 2 expires on" in done.stderr, command
        assert site.operator.rollouts()["root_expires_ms"] == shown["issued_ms"] + 20 * 86_400_000

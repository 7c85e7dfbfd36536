"""Only devices that an operator has enrolled are taken: by their key, or by a token that counts once."""

import subprocess

import pytest
from harness import forge
from harness.operator import Refused
from harness.paper_device import PaperDevice
from harness.process import wait_for
from harness.site import Site

GROUP = "test/line"
UNTRUSTED_KEY, REFUSED = 5, 14


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys, options={"enrolment": "listed"}) as made:
        yield made


def enrol(site, *arguments: str) -> dict:
    return site.operator.ask("devices", "enrol", *arguments, "--root", str(site.keys.root), "--key", str(site.keys.release))


def shown(site, device: str) -> dict:
    """As the broker knows it; {} while it does not."""
    try:
        return site.operator.device(device)
    except Refused:
        return {}


def test_a_device_that_is_not_listed_is_refused_and_named(site):
    stranger = PaperDevice(site.broker, "made-up", group=GROUP, username="evil")
    assert stranger.hello()["code"] == REFUSED
    assert shown(site, "made-up") == {}
    refused = site.operator.ask("devices", "list", "--unknown")["refused"]
    assert [(row["device"], row["login"], row["hellos"]) for row in refused] == [("made-up", "evil", 1)]
    log = site.broker.log_text()
    assert "device made-up is not enrolled here" in log and "user 'evil', address 127.0.0.1" in log


def test_a_device_is_what_its_enrolment_says(site):
    key = forge.Key.random()
    assert enrol(site, "gw-01", "--product", "test-box", "--group", GROUP, "--public-key", key.public.hex())["demanded"]
    thief = PaperDevice(site.broker, "gw-01", group=GROUP)
    assert thief.hello()["code"] == UNTRUSTED_KEY
    thief.client.close()
    device = PaperDevice(site.broker, "gw-01", group="boss/office", product="safe", key=key)
    assert device.hello()["code"] == 0
    row = shown(site, "gw-01")
    assert (row["product"], row["groups"]) == ("test-box", [GROUP]), "whatever it says of itself"


def test_a_real_device_comes_by_a_token_that_counts_once(site):
    device = site.add_device("box", settings={"enrolment_token_file": site.folder / "token"})
    wait_for("it is refused", lambda: f"device {device.id} is not enrolled here" in site.broker.log_text())
    token = enrol(site, device.id, "--product", "test-box", "--group", GROUP, "--token")["devices"][0]["token"]
    (site.folder / "token").write_text(token + "\n")
    device.restart()
    wait_for("the broker has taken it", lambda: shown(site, device.id).get("groups") == [GROUP])
    (site.folder / "token").unlink()
    device.restart()
    wait_for("it is known by its key from then on", lambda: shown(site, device.id).get("boot") == 3)
    device.stop()
    site.operator.ask("devices", "forget", device.id)
    thief = PaperDevice(site.broker, device.id, group=GROUP)
    payload = forge.flat("hello", {
        "device": thief.id, "public_key": list(thief.key.public), "product": thief.product, "groups": [GROUP], "boot": 1, "connect": 1,
        "token": list(token.encode())})
    thief.client.publish(f"{thief.prefix}/hello", forge.seal(forge.HELLO, payload, thief.key), qos=1)
    ack = thief.await_ack()
    assert ack["code"] == REFUSED and "was used" in ack["reason"]


def test_a_real_device_comes_by_its_key(site):
    device = site.add_device("box", start=False)
    device.configure()
    key = subprocess.run([str(device.program), "key", "--config", str(device.config)], check=True, capture_output=True, text=True).stdout
    enrol(site, device.id, "--product", "test-box", "--group", GROUP, "--public-key", key.strip())
    device.start()
    wait_for("the broker has taken it", lambda: shown(site, device.id).get("public_key") == key.strip())
    site.publish("1.0")
    device.wait_for_release("1.0")


def test_many_are_enrolled_from_a_list(site):
    key = forge.Key.random()
    listed = site.folder / "devices.csv"
    listed.write_text(f"device,product,groups,public_key\nlisted-1,test-box,{GROUP};lab,{key.public.hex()}\nlisted-2,test-box,{GROUP}\n")
    tokens = site.folder / "tokens.csv"
    done = enrol(site, "--list", str(listed), "--tokens-out", str(tokens))
    assert [row["device"] for row in done["devices"]] == ["listed-1", "listed-2"]
    assert "token" not in done["devices"][1] and tokens.read_text().startswith("listed-2,")
    assert tokens.stat().st_mode & 0o777 == 0o600
    assert PaperDevice(site.broker, "listed-1", group=GROUP, key=key).hello()["code"] == 0
    assert shown(site, "listed-1")["groups"] == [GROUP, "lab"]

"""Who may speak as a device: `device_identity` by user name and by certificate, on a real broker with real logins."""

import ssl
import subprocess

import pytest
from harness import forge, mqtt
from harness.paper_device import PaperDevice
from harness.process import free_port, wait_for
from harness.site import Site

GROUP = "test/line"


def openssl(folder, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificate(folder, name: str, subject: str, alternative: str = "") -> None:
    """NAME.pem and NAME.key, signed by the authority in the folder."""
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
    extensions = []
    if alternative:
        (folder / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
        extensions = ["-extfile", f"{name}.ext"]
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem",
            "-days", "30", *extensions)


def hello_of(device: PaperDevice) -> bytes:
    return forge.seal(forge.HELLO, forge.flat("hello", {
        "device": device.id, "public_key": list(device.key.public), "product": device.product, "groups": [device.group], "boot": 1}),
        device.key)


def known(site) -> set[str]:
    return {row["device"] for row in site.operator.ask("devices", "list")["devices"]}


def test_by_user_name(tmp_path, keys):
    with Site(tmp_path, keys, options={"device_identity": "username"}) as site:
        assert PaperDevice(site.broker, "gw-01", group=GROUP, username="gw-01").hello()["code"] == 0
        for username in ("evil", "gw-02", None):
            thief = PaperDevice.__new__(PaperDevice)
            thief.id, thief.group, thief.product, thief.key = "gw-03", GROUP, "test-box", forge.Key.random()
            with site.broker.client("gw-03", username=username, version=5) as client:
                reason = client.publish_for_reason("instar/v1/d/gw-03/hello", hello_of(thief), qos=1)
                assert reason == 0x87, f"a client of user {username} says hello as gw-03"
        assert known(site) == {"gw-01"}


def test_by_certificate(tmp_path, keys):
    folder = tmp_path / "certificates"
    folder.mkdir()
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=ca")
    make_certificate(folder, "broker", "/CN=broker", "IP:127.0.0.1")
    make_certificate(folder, "gw-01", "/CN=gw-01")
    make_certificate(folder, "gw-02", "/O=plant/CN=unit 7", "DNS:gw-02,URI:urn:unit:7")
    make_certificate(folder, "evil", "/CN=evil")
    port = free_port()
    lines = [f"listener {port} 127.0.0.1", f"certfile {folder}/broker.pem", f"keyfile {folder}/broker.key", f"cafile {folder}/ca.pem",
             "require_certificate true"]

    def tls(name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        return context

    def says_hello(device: str, certificate: str | None, username: str | None = None) -> int:
        paper = PaperDevice.__new__(PaperDevice)
        paper.id, paper.group, paper.product, paper.key = device, GROUP, "test-box", forge.Key.random()
        with mqtt.Mqtt(site.broker.port if certificate is None else port, device, username=username, version=5,
                       tls=tls(certificate) if certificate else None) as client:
            reason = client.publish_for_reason(f"instar/v1/d/{device}/hello", hello_of(paper), qos=1) or 0
            return reason if reason >= 0x80 else 0  # below: taken

    with Site(tmp_path, keys, options={"device_identity": "certificate"}, lines=lines) as site:
        assert says_hello("gw-01", "gw-01") == 0
        assert says_hello("gw-02", "gw-02") == 0, "by an alternative name"
        assert says_hello("gw-03", "evil", username="gw-03") == 0x87, "a user name is no certificate"
        assert says_hello("gw-04", None, username="gw-04") == 0x87, "no certificate at all"
        assert "Denied PUBLISH from gw-03" in site.broker.log_text()
        wait_for("both are known, and nobody else", lambda: known(site) == {"gw-01", "gw-02"})


@pytest.mark.parametrize("value", ["Username", "cn"])
def test_another_word_stops_the_start(tmp_path, keys, value):
    site = Site(tmp_path, keys, options={"device_identity": value})
    with pytest.raises(AssertionError, match="device_identity is"):
        site.broker.start()

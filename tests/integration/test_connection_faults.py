"""Each cause that keeps a program from its broker: its sentence, the line that mends it, and the exit code, from `instar` and from
`instar-device` alike. Mosquitto shows most of them; stand-ins show what it does not do on demand."""

import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import stand_ins
from harness.broker import Broker
from harness.clock import WrongClock
from harness.device import Device
from harness.mqtt import Closed, Mqtt
from harness.operator import Keys, Operator
from harness.process import INSTAR, SOURCE, free_port, wait_for
from harness.site import Site
from harness.stand_ins import FullBacklog, StandIn
from harness.tls import Authority, Certificate, self_signed
from harness.trees import make_tree

UNREACHABLE, REFUSED, TIMED_OUT = 3, 4, 6


@dataclass
class Scene:
    """Where the broker is, and what the programs are given to reach it."""

    address: str  # HOST:PORT
    tls: bool = False
    options: list[str] = field(default_factory=list)  # of instar
    settings: dict[str, object] = field(default_factory=dict)  # of the device
    environment: dict[str, str] = field(default_factory=dict)
    seconds: int = 30  # --timeout
    broker: Broker | None = None

    def trusting(self, ca: Path) -> "Scene":
        self.options += ["--ca", str(ca)]
        self.settings["ca_file"] = ca
        return self

    def showing(self, certificate: Certificate) -> "Scene":
        certificate.key.chmod(0o600)
        self.options += ["--cert", str(certificate.file), "--key-file", str(certificate.key)]
        self.settings |= {"certificate_file": certificate.file, "key_file": certificate.key}
        return self

    def as_user(self, folder: Path, user: str, password: str) -> "Scene":
        file = folder / f"password-of-{user}"
        file.write_text(password + "\n")
        file.chmod(0o600)
        self.options += ["--username", user, "--password-file", str(file)]
        self.settings |= {"username": user, "password_file": file}
        return self


class Stage:
    """Sets scenes, and takes them down at the end of the test."""

    def __init__(self, folder: Path, keys: Keys, certificates: "Certificates"):
        self.folder, self.keys, self.certificates = folder, keys, certificates
        self.program = "instar"
        self.exits = contextlib.ExitStack()

    def broker(self, *lines: str, anonymous: bool = True, plugin: bool = True, **options: str) -> Scene:
        broker = Broker(self.folder / "broker", options=self.keys.plugin_options() | options, lines=list(lines), anonymous=anonymous,
                        plugin=plugin)
        self.exits.enter_context(broker)
        return Scene(f"127.0.0.1:{broker.port}", broker=broker)

    def tls(self, certificate: Certificate, *lines: str, host: str = "localhost") -> Scene:
        port = free_port()
        scene = self.broker(f"listener {port} 127.0.0.1", *certificate.listener, *lines)
        return Scene(f"{host}:{port}", tls=True, broker=scene.broker)

    def stand_in(self, talk) -> Scene:
        server = StandIn(talk)
        self.exits.callback(server.close)
        return Scene(f"127.0.0.1:{server.port}")


@dataclass
class Certificates:
    ca: Authority
    good: Certificate
    expired: Certificate
    future: Certificate
    other_host: Certificate
    stranger: Certificate
    self_signed: Certificate
    device: Certificate
    strange_device: Certificate


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    folder.chmod(0o755)
    ca, other = Authority(folder / "ca", "plant-ca"), Authority(folder / "other", "other-ca")
    return Certificates(ca, ca.certificate("good"), ca.certificate("expired", begins="20200101000000Z", ends="20210101000000Z"),
                        ca.certificate("future", begins="20480101000000Z"), ca.certificate("elsewhere", "DNS:broker.example"),
                        other.certificate("stranger"), self_signed(folder), ca.certificate("gw", "DNS:gw"),
                        other.certificate("strange-gw", "DNS:gw"))


@pytest.fixture
def stage(tmp_path, keys, certificates) -> Iterator[Stage]:
    stage = Stage(tmp_path, keys, certificates)
    with stage.exits:
        yield stage


def full(stage: Stage) -> Scene:
    port = FullBacklog()
    stage.exits.callback(port.close)
    return Scene(f"127.0.0.1:{port.port}")


def no_ca(stage: Stage) -> Scene:
    file = stage.folder / "ca.pem"
    file.write_text("this is no certificate\n")
    return stage.tls(stage.certificates.good).trusting(file)


def long_ago(scene: Scene, stage: Stage) -> Scene:
    clock = WrongClock(stage.folder / "clock")
    clock.set_to("1970-01-02")
    scene.environment = clock.environment
    return scene


def passwords(stage: Stage) -> list[str]:
    file = stage.folder / "passwords"
    file.write_text("ann:secret\n")
    subprocess.run(["mosquitto_passwd", "-U", str(file)], check=True)
    return [f"password_file {file}"]


def acl(stage: Stage, *lines: str) -> Scene:
    file = stage.folder / "acl"
    file.write_text("".join(line + "\n" for line in lines))
    return stage.broker(f"acl_file {file}", acl_fallthrough="defer")


def rival(stage: Stage) -> Scene:
    """Somebody else with the same user name, where that is the client id, connects again and again."""
    scene = stage.broker("use_username_as_clientid true", *passwords(stage), anonymous=False, operators="ann")
    scene.as_user(stage.folder, "ann", "secret").settings["device_id"] = "ann"
    over = threading.Event()

    def fight() -> None:
        while not over.is_set():
            with contextlib.suppress(Closed, OSError):
                with Mqtt(scene.broker.port, "ann", username="ann", password="secret") as client:
                    while not over.is_set():
                        client.receive(0.1)

    thread = threading.Thread(target=fight, daemon=True)
    thread.start()
    stage.exits.callback(thread.join)
    stage.exits.callback(over.set)
    return scene


# Names of docs/troubleshooting.md's table; what sets the scene; a part of the sentence; the exit code of `instar` and its command.
FAULTS = {
    "name": (lambda s: Scene("no-such-host.invalid:1883"), "the name no-such-host.invalid cannot be resolved", UNREACHABLE),
    "refused": (lambda s: Scene(f"127.0.0.1:{free_port()}"), r"nobody listens at 127\.0\.0\.1:\d+: Connection refused", UNREACHABLE),
    "no-answer": (full, r"no answer from 127\.0\.0\.1:\d+ within 5 s", UNREACHABLE),
    "closed": (lambda s: s.stand_in(stand_ins.hangs_up), r"127\.0\.0\.1:\d+ closes the connection without an answer", UNREACHABLE),
    "says-nothing": (lambda s: s.stand_in(stand_ins.says_nothing), "takes the connection and says nothing for 5 s", UNREACHABLE),
    "not-mqtt": (lambda s: s.stand_in(stand_ins.speaks_http), 'does not speak MQTT: it answers "HTTP/1.1 400 Bad Request"', UNREACHABLE),
    "tls": (lambda s: Scene(s.tls(s.certificates.good).address), r"localhost:\d+ wants TLS, and the broker's address has none", UNREACHABLE),
    "no-tls": (lambda s: Scene(s.broker().address, tls=True), r"127\.0\.0\.1:\d+ does not speak TLS", UNREACHABLE),
    "clock": (lambda s: long_ago(s.tls(s.certificates.good).trusting(s.certificates.ca.file), s),
              "not yet valid for this machine, whose clock says 1970-01-02 ", UNREACHABLE),
    "expired": (lambda s: s.tls(s.certificates.expired).trusting(s.certificates.ca.file),
                "certificate expired on 2021-01-01 00:00 UTC; this machine's clock says 20", UNREACHABLE),
    "not-yet-valid": (lambda s: s.tls(s.certificates.future).trusting(s.certificates.ca.file),
                      "certificate is not valid before 2048-01-01 00:00 UTC; this machine's clock says 20", UNREACHABLE),
    "other-host": (lambda s: s.tls(s.certificates.other_host).trusting(s.certificates.ca.file),
                   "certificate is for broker.example, not for localhost", UNREACHABLE),
    "unknown-ca": (lambda s: s.tls(s.certificates.stranger).trusting(s.certificates.ca.file),
                   "certificate is signed by an unknown CA: other-ca", UNREACHABLE),
    "self-signed": (lambda s: s.tls(s.certificates.self_signed).trusting(s.certificates.ca.file),
                    "certificate is signed by itself: localhost", UNREACHABLE),
    "client-certificate": (
        lambda s: s.tls(s.certificates.good, f"cafile {s.certificates.ca.file}", "require_certificate true").trusting(s.certificates.ca.file),
        "the broker wants a client certificate, and none is given", UNREACHABLE),
    "client-certificate-refused": (
        lambda s: s.tls(s.certificates.good, f"cafile {s.certificates.ca.file}", "require_certificate true")
        .trusting(s.certificates.ca.file).showing(s.certificates.strange_device),
        r"the broker refuses the client certificate \S+strange-gw\.pem: unknown ca", UNREACHABLE),
    "tls-file": (no_ca, r"\S+/ca\.pem cannot be used for TLS", UNREACHABLE),
    "websockets": (lambda s: websockets(s), r"127\.0\.0\.1:\d+ speaks MQTT over WebSockets only", UNREACHABLE),
    "login-missing": (lambda s: s.broker(*passwords(s), anonymous=False), "lets nobody in without a user name, and none is given",
                      UNREACHABLE),
    "login": (lambda s: s.broker(*passwords(s), anonymous=False).as_user(s.folder, "ann", "wrong"),
              "the broker refuses the user 'ann', its password, or the client id", UNREACHABLE),
    "banned": (lambda s: s.stand_in(stand_ins.answers_connect(0x8a, 5)), "the broker has banned the client '", UNREACHABLE),
    "client-id": (lambda s: s.stand_in(stand_ins.answers_connect(0x85, 2)), "the broker refuses the client id '", UNREACHABLE),
    "broker-full": (lambda s: s.stand_in(stand_ins.answers_connect(0x97, 3)), "the broker takes no connection now: quota exceeded",
                    UNREACHABLE),
    "mqtt-version": (lambda s: s.stand_in(stand_ins.answers_connect(0, 1)), "the broker does not speak MQTT 3.1.1", UNREACHABLE),
    "keepalive": (lambda s: s.stand_in(stand_ins.limits_keepalive(30)), r"takes a keepalive of at most 30 s, and this client asks for \d+ s", UNREACHABLE),
    # A command on a real broker may be done before the other client is back.
    "taken-over": (lambda s: rival(s) if s.program == "device" else s.stand_in(stand_ins.takes_over),
                   "another client connects as '[^']+' and takes the connection over", UNREACHABLE),
    "packet-size": (lambda s: s.broker(f"max_packet_size {100 if s.program == 'instar' else 300}"),
                    r"the broker takes packets of at most \d00 bytes, and one of \d+ bytes was sent", REFUSED),
    "message-size": (lambda s: s.broker("message_size_limit 60"), r"the broker drops messages of \d+ bytes on ", REFUSED),
    "qos": (lambda s: s.broker("max_qos 0"), "the broker takes messages of QoS 0 at most, and this program sends QoS 1", REFUSED),
    "retain": (lambda s: s.broker("retain_available false"), "the broker keeps no retained messages, and this program sends them", REFUSED),
    "may-not-write": (lambda s: acl(s, "topic read #", "topic read $CONTROL/#"), "the broker does not let this client write to ", REFUSED),
    "may-not-read": (lambda s: s.stand_in(stand_ins.refuses_subscriptions), "the broker does not let this client read ", REFUSED),
    "mount-point": (lambda s: s.broker("mount_point site/"), "has a mount_point, so what is sent to .* does not reach the plugin", TIMED_OUT),
    "no-plugin": (lambda s: s.broker(plugin=False), "this client may write to .* and nobody answers there", TIMED_OUT),
    "not-answered": (lambda s: s.broker(plugin=False), "the broker takes what is sent to .* and no answer comes", TIMED_OUT),
}
# What one of the programs cannot run into: a device sends nothing to $CONTROL, an operator no hello.
ONLY = {"no-plugin": "instar", "not-answered": "device"}


def websockets(stage: Stage) -> Scene:
    port = free_port()
    stage.broker(f"listener {port} 127.0.0.1", "protocol websockets")
    return Scene(f"127.0.0.1:{port}")


def cure_of(name: str) -> str:
    """The line that mends it, from the page that a test of mqtt/ holds against the table."""
    row = next(line for line in (SOURCE / "docs/troubleshooting.md").read_text().splitlines() if line.startswith(f"| `{name}` |"))
    return row.split(" | ")[2]


def operator(scene: Scene, *command: object) -> subprocess.CompletedProcess:
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"} | scene.environment
    return subprocess.run([str(INSTAR), *map(str, command), "--broker", f"{'mqtts' if scene.tls else 'mqtt'}://{scene.address}", "--timeout",
                           f"{scene.seconds}s", *scene.options], capture_output=True, text=True, env=environment)


def publishes(stage: Stage, scene: Scene, **tree: int) -> list[object]:
    """The command that publishes a fresh release."""
    keys = stage.keys
    maker = Operator(stage.folder / "operator", scene.broker.port, keys)
    release = maker.describe("1.0", maker.pack(make_tree(stage.folder / "trees/1.0", "1.0", **tree)))
    return ["publish", release, "--key", keys.release, "--root", keys.root, "--no-delta"]


def start_device(stage: Stage, scene: Scene, **settings: object) -> Device:
    server = {"server": f"{'ssl' if scene.tls else 'tcp'}://{scene.address}"}
    device = Device(stage.folder / "device", "gw", 1, stage.keys.root, settings=server | scene.settings | settings)
    stage.exits.callback(device.clean_up)
    return device.start(scene.environment)


@pytest.mark.parametrize("name", [name for name in FAULTS if ONLY.get(name) != "device"])
def test_instar_names_the_cause(name, stage):
    set_scene, sentence, code = FAULTS[name]
    scene = set_scene(stage)
    if name == "no-plugin":
        scene.seconds = 8  # it may only be slow, so it is waited for
    command = publishes(stage, scene) if name == "retain" else ["rollout", "list"]
    done = operator(scene, *command)
    assert re.search(sentence, done.stderr), done.stderr
    assert cure_of(name) in done.stderr, done.stderr
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize("name", [name for name in FAULTS if ONLY.get(name) != "instar"])
def test_a_device_names_the_cause_at_the_level_of_a_warning(name, stage):
    stage.program = "device"
    set_scene, sentence, _ = FAULTS[name]
    device = start_device(stage, set_scene(stage))
    line = f"warning: .*{sentence}.*{re.escape(cure_of(name))}"
    wait_for(f"the device says: {line}; its log is {device.process.log}", lambda: re.search(line, device.log_text()))
    failure = device.status()["link"]["failure"]
    assert re.search(sentence, failure), failure


def test_publish_ends_at_once_where_the_broker_takes_no_large_packets(stage):
    """It was sent again and again, for minutes, without a word."""
    scene = stage.broker("max_packet_size 60000")
    scene.seconds = 300
    done = operator(scene, *publishes(stage, scene, noise_bytes=500_000))
    assert re.search("the broker takes packets of at most 60000 bytes, and one of 6\\d{4} bytes was sent", done.stderr), done.stderr
    assert done.returncode == REFUSED
    assert scene.broker.log_text().count("oversize packet") <= 3


def test_publish_ends_at_once_where_the_broker_drops_large_messages(stage):
    """These are acknowledged, in MQTT 3.1.1, and dropped."""
    scene = stage.broker("message_size_limit 50000")
    scene.seconds = 300
    done = operator(scene, *publishes(stage, scene, noise_bytes=500_000))
    assert re.search("the broker drops messages of 6\\d{4} bytes on instar/v1/", done.stderr), done.stderr
    assert done.returncode == REFUSED


def test_publish_ends_at_once_where_the_operator_may_not_upload(stage):
    scene = acl(stage, "topic readwrite $CONTROL/#", "topic read #")
    scene.seconds = 300
    done = operator(scene, *publishes(stage, scene))
    assert re.search("the broker does not let this client write to instar/v1/", done.stderr), done.stderr
    assert done.returncode == REFUSED


def test_a_device_says_the_same_once_and_not_at_each_attempt(stage):
    port = free_port()
    device = start_device(stage, Scene(f"127.0.0.1:{port}"), log_level=7)
    wait_for("ten attempts have failed", lambda: device.log_text().count("debug: not connected") >= 10)
    assert device.log_text().count("warning: not connected") == 1
    assert not device.status()["link"]["connected"]
    broker = stage.exits.enter_context(Broker(stage.folder / "late", port=port, options=stage.keys.plugin_options()))
    wait_for("it is connected", lambda: device.status()["link"]["connected"])
    assert "Connection refused" in device.status()["link"]["failure"], "the last failure stays"
    text = subprocess.run([str(device.program), "status", "--config", str(device.config)], capture_output=True, text=True).stdout
    assert re.search(r"link +connected since 20", text), text
    broker.stop()
    wait_for("it says so", lambda: not device.status()["link"]["connected"])


def test_instar_says_what_it_waits_for(stage):
    """A broker that stands still: after three seconds there is a line, and the end names the cause."""
    scene = stage.stand_in(stand_ins.says_nothing)
    done = operator(scene, "rollout", "list")
    assert done.returncode == UNREACHABLE, done.stderr
    assert f"instar: waiting for a connection to mqtt://{scene.address}, for 3 s already" in done.stderr


def test_a_device_keeps_why_its_last_release_did_not_stay(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        device = site.add_device("d")
        site.wait_for_counts(site.publish("1.0"), {"committed": 1})
        site.wait_for_counts(site.publish("2.0", healthy=False), {"rolled_back": 1})
        wait_for("it has been acked", lambda: device.status()["pending_reports"] == 0)
        device.restart()
        device.wait_until_up()
        reason = device.status()["last_outcome"]["reason"]
        assert "probe" in reason, reason
        text = subprocess.run([str(device.program), "status", "--config", str(device.config)], capture_output=True, text=True).stdout
        assert f"last        rolled_back (sequence 2): {reason}" in text, text

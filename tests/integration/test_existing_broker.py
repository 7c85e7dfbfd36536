"""A Mosquitto with its own users, ACLs and topics behaves with the plugin loaded exactly as it did before."""

import re
import signal
import subprocess
from pathlib import Path

from harness.broker import Broker
from harness.mqtt import Closed, Mqtt
from harness.process import wait_for

ACL = """\
topic read public/#
user alice
topic readwrite plant/#
topic write alarms
user bob
topic read plant/+/temperature
topic deny plant/secret/#
topic readwrite bob/#
pattern readwrite users/%u/%c/#
"""


def configure(folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "acl").write_text(ACL)
    passwords = folder / "passwords"
    passwords.write_text("alice:one\nbob:two\n")
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
    return [f"acl_file {folder}/acl", f"password_file {passwords}", "message_size_limit 100000", "max_queued_messages 20",
            "retain_available true"]


class Watched:
    """Does things to a broker and keeps what came back."""

    def __init__(self, broker: Broker):
        self.broker = broker
        self.seen: list[tuple] = []

    def note(self, what: str, *values: object) -> None:
        self.seen.append((what, *values))

    def connect(self, client_id: str, user: str | None = None, password: str | None = None, **options) -> Mqtt | None:
        try:
            client = Mqtt(self.broker.port, client_id, username=user, password=password, **options)
        except Closed:
            self.note("connect", client_id, user, "closed")
            return None
        self.note("connect", client_id, user, client.connect_code, client.session_present)
        return client if client.connect_code == 0 else None

    def received(self, what: str, client: Mqtt) -> None:
        self.note(what, sorted((p.topic, p.payload, p.qos, p.retained) for p in client.drain()))

    def lose(self, client: Mqtt, client_id: str) -> None:
        """Closes a connection without a goodbye. Returns when the broker knows."""
        words = re.compile(rf"Client {client_id} .*(closed its connection|connection closed by client)")
        before = len(words.findall(self.broker.log_text()))
        client.close()
        wait_for("the broker knows", lambda: len(words.findall(self.broker.log_text())) > before, interval_s=0.02)

    def reload(self) -> None:
        before = self.broker.log_text().count("Reloading config")
        self.broker.process.child.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: self.broker.log_text().count("Reloading config") > before, interval_s=0.02)

    def publish(self, client: Mqtt, topic: str, payload: bytes, **options) -> None:
        try:
            self.note("publish", topic, len(payload), options.get("qos", 0), client.publish(topic, payload, **options))
        except Closed:
            self.note("publish", topic, len(payload), "closed")


def script(broker: Broker, acl: Path) -> list[tuple]:
    watched = Watched(broker)
    for user, password in ((None, None), ("alice", "wrong"), ("nobody", "one"), ("alice", None), ("bob", "two")):
        watched.connect("door", user, password)

    alice = watched.connect("alice-1", "alice", "one")
    bob = watched.connect("bob-1", "bob", "two", clean=False)
    assert alice and bob
    for filters in (["#"], ["plant/#", "public/#"], ["users/bob/bob-1/#", "users/alice/alice-1/#"], ["$SYS/broker/version"],
                    ["$share/g/plant/+/temperature"], ["bob/#"], ["instar/other"], ["instarv1/#"]):
        watched.note("subscribe", filters, bob.subscribe(*filters))
    watched.received("after subscribing", bob)
    for topic in ("plant/a/temperature", "plant/secret/temperature", "plant/a/humidity", "public/news", "alarms", "users/bob/bob-1/x",
                  "users/alice/alice-1/x", "bob/x", "instar/other", "instarv1/x", "unknown"):
        for qos in (0, 1):
            watched.publish(alice, topic, b"from alice", qos=qos)
    watched.received("bob receives alice", bob)
    for topic in ("bob/self", "plant/a/temperature", "public/news", "users/bob/bob-1/self", "users/bob/other/self"):
        watched.publish(bob, topic, b"from bob", qos=1)
    watched.received("bob receives himself", bob)

    watched.publish(alice, "plant/a/temperature", b"21", qos=1, retain=True)
    watched.publish(alice, "plant/b/temperature", b"22", qos=1, retain=True)
    watched.publish(alice, "plant/b/temperature", b"", qos=1, retain=True)
    watched.received("live retained", bob)
    watched.note("subscribe", bob.subscribe("plant/+/temperature"))
    watched.received("retained", bob)

    # A session outlives its connection, its queue is bounded, and what was queued comes in order.
    watched.lose(bob, "bob-1")
    for number in range(30):
        watched.publish(alice, "plant/a/temperature", str(number).encode(), qos=1)
    bob = watched.connect("bob-1", "bob", "two", clean=False)
    assert bob
    watched.note("queued", [p.payload for p in bob.drain()])

    # Wills, takeover by the same client id, a packet over the broker's limit, QoS 2.
    dying = watched.connect("dying", "alice", "one", will=("plant/will/temperature", b"gone"))
    assert dying
    watched.lose(dying, "dying")
    watched.received("will", bob)
    second = watched.connect("bob-1", "bob", "two", clean=False)
    assert second
    try:
        watched.note("taken over", bob.receive())
    except Closed:
        watched.note("taken over", "closed")
    watched.publish(alice, "plant/c/temperature", b"x" * 99_000, qos=1)
    watched.received("large", second)
    large = watched.connect("large", "alice", "one")
    assert large
    watched.publish(large, "plant/c/temperature", b"x" * 200_000, qos=1)
    alice.send(0x34, b"\x00\x13plant/d/temperature\x00\x07exactly once")
    received = alice.await_kind(5)
    watched.note("pubrec", received and received.packet_id)
    alice.send(0x62, b"\x00\x07")
    watched.note("pubcomp", alice.await_kind(7) is not None)
    watched.received("qos 2", second)

    # New ACLs by SIGHUP, twice: the first deafens bob, the second gives him more than before.
    for rights in ("user alice\ntopic readwrite plant/#\n", ACL + "user bob\ntopic read unknown\n"):
        acl.write_text(rights)
        watched.reload()
        watched.note("subscribe", second.subscribe("plant/+/temperature", "unknown", qos=0))
        watched.publish(alice, "plant/e/temperature", b"after reload", qos=1)
        watched.received("after a reload", second)
        watched.connect("door", None, None)
        watched.connect("door", "bob", "wrong")
    watched.note("ping", second.ping(), alice.ping())
    return watched.seen


def run(folder: Path, **options) -> list[tuple]:
    lines = configure(folder)
    with Broker(folder, anonymous=False, lines=lines, **options) as broker:
        return script(broker, folder / "acl")


def test_same_with_and_without_the_plugin(tmp_path, plugin_options):
    without = run(tmp_path / "without", plugin=False)
    loaded = run(tmp_path / "with", options=plugin_options | {"acl_fallthrough": "defer"})
    assert len(without) > 60
    for before, after in zip(without, loaded):
        assert after == before
    assert loaded == without

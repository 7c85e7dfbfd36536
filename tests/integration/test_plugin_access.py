"""Who may publish and receive what: our prefix is guarded, everything else is left to the deployment, in each kind of broker."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from harness.broker import MOSQUITTO
from harness.brokers import chosen
from harness.mqtt import Closed, Mqtt
from harness.probe import await_events, events, probe_broker, take
from harness.process import SOURCE, wait_for

DYNAMIC_SECURITY = chosen(MOSQUITTO).library("mosquitto_dynamic_security.so")


def receives(broker, topic: str, **options) -> bool:
    with broker.client("listener", **options) as listener, broker.client("writer", **options) as client:
        listener.subscribe(topic)
        client.publish(topic, "x", qos=1)
        return listener.drain() != []


# --- fallthrough ---------------------------------------------------------------------------------
def test_allow_lets_a_broker_without_acls_work_as_before(tmp_path):
    with probe_broker(tmp_path, options={"acl_fallthrough": "allow"}) as broker:
        assert receives(broker, "plant/x")
        with broker.client("c") as client:
            assert client.subscribe("#", "plant/+") == [1, 1]
            client.send(0xA2, b"\x00\x09\x00\x01#")
            assert client.await_kind(11) is not None


def test_defer_makes_a_broker_without_acls_deny_and_the_log_says_so(tmp_path):
    with probe_broker(tmp_path, options={"acl_fallthrough": "defer"}) as broker:
        assert not receives(broker, "plant/x")
        assert "a broker with neither denies everything" in broker.log_text()


def test_defer_leaves_the_decision_to_the_acl_file(tmp_path):
    (tmp_path / "acl").write_text("topic readwrite plant/#\npattern readwrite instar/v1/d/%c/#\ntopic readwrite instar/v1/root\n")
    with probe_broker(tmp_path, options={"acl_fallthrough": "defer"}, lines=[f"acl_file {tmp_path}/acl"]) as broker:
        assert receives(broker, "plant/x")
        assert not receives(broker, "other/x")
        with broker.client("dev1") as one, broker.client("dev2") as two:
            two.subscribe("instar/v1/#")
            take(two, 1)
            one.publish("instar/v1/d/dev1/hello", "x", qos=1)
            one.publish("instar/v1/d/dev1/ack", "x", qos=1)  # the file would allow it, the plugin does not
            one.publish("instar/v1/manifest/a/press", "x", qos=1)  # the plugin would allow it, the file does not
            assert events(broker, "message") == ["dev1 instar/v1/d/dev1/hello 1 q1"]
            assert two.drain() == []


def test_acl_file_of_the_page_lets_devices_and_operators_work_and_nobody_else(tmp_path):
    page = (SOURCE / "docs/broker.md").read_text()
    (tmp_path / "acl").write_text(re.search(r"^# append to /etc/mosquitto/acl\n(.*?)^```", page, re.S | re.M).group(1))
    with probe_broker(tmp_path, options={"acl_fallthrough": "defer"}, lines=[f"acl_file {tmp_path}/acl"]) as broker, \
         broker.client("dev1", username="dev1") as device, broker.client("op-1", username="alice") as alice:
        device.subscribe("instar/v1/root", "instar/v1/manifest/a/#", "instar/v1/gate/a/#", "instar/v1/d/dev1/chunk", "instar/v1/d/dev1/ack")
        alice.subscribe("$CONTROL/instar/v1/response", "instar/v1/r/+/status", "instar/v1/d/+/presence")
        assert [p.payload for p in take(device, 1)] == [b"root of the start"]
        for name in ("hello", "report"):
            device.publish(f"instar/v1/d/dev1/{name}", "x", qos=1)
        device.publish("instar/v1/d/dev1/fetch", "flood 2 10", qos=1)
        device.publish("instar/v1/d/dev1/report", "commit", qos=1)
        device.publish("instar/v1/d/dev1/presence", "route", qos=1)
        for topic in ("instar/v1/manifest/a/press", "instar/v1/root", "instar/v1/d/dev2/hello", "plant/x", "$CONTROL/instar/v1"):
            device.publish(topic, "route", qos=1)
        alice.publish("instar/v1/manifest/a/press", "route", qos=1)
        alice.publish("instar/v1/o/op-1/put", "x", qos=1)
        alice.publish("$CONTROL/instar/v1", "list", qos=1)
        assert sorted(p.payload for p in take(device, 4)) == [b"durable", b"route", b"x" * 10, b"x" * 10]
        assert sorted(p.payload for p in take(alice, 2)) == [b"alice said list", b"route"]
        assert [e.split()[1] for e in events(broker, "message")] == [f"instar/v1/{t}" for t in (
            "d/dev1/hello", "d/dev1/report", "d/dev1/fetch", "d/dev1/report", "d/dev1/presence", "manifest/a/press", "o/op-1/put")]


@pytest.mark.parametrize("fallthrough", ["allow", "defer"])
def test_own_denials_hold(tmp_path, fallthrough):
    (tmp_path / "acl").write_text("topic readwrite #\n")
    lines = [f"acl_file {tmp_path}/acl"] if fallthrough == "defer" else []
    with probe_broker(tmp_path, options={"acl_fallthrough": fallthrough}, lines=lines) as broker:
        with broker.client("dev1", version=5) as one:
            for topic in ("d/dev2/hello", "d/dev2/report", "d/dev1/chunk", "d/dev1/ack", "gate/a/press", "no/such/form", "d/dev1/hello/x"):
                assert one.publish_for_reason(f"instar/v1/{topic}", b"x") == 0x87, topic
            assert one.publish_for_reason("instar/v1/d/dev1/hello", b"x") < 0x80
        assert len(events(broker, "message")) == 1


def test_private_topics_are_private_however_one_subscribes(tmp_path):
    with probe_broker(tmp_path) as broker, broker.client("dev1") as one, broker.client("thief") as thief:
        one.subscribe("instar/v1/d/dev1/chunk")
        thief.subscribe("#", "+/+/+/+/+", "instar/v1/d/dev1/chunk", "instar/v1/d/+/chunk", "$share/g/#", "$share/h/instar/v1/d/dev1/chunk")
        take(thief, 1)
        one.publish("instar/v1/d/dev1/fetch", "flood 5 100")
        assert len(take(one, 5)) == 5
        assert thief.drain() == []


def test_clients_that_name_a_user_still_come_in_anonymously(tmp_path):
    with probe_broker(tmp_path) as broker:
        for options in ({}, {"username": "alice"}, {"username": "alice", "password": "what ever"}):
            with broker.client("c", **options) as client:
                assert client.connect_code == 0


# --- reload --------------------------------------------------------------------------------------
def test_reload_twice_keeps_acls_and_passwords(tmp_path):
    (tmp_path / "acl").write_text("user alice\ntopic readwrite plant/#\n")
    (tmp_path / "passwords").write_text("alice:one\n")
    subprocess.run(["mosquitto_passwd", "-U", str(tmp_path / "passwords")], check=True)
    lines = [f"acl_file {tmp_path}/acl", f"password_file {tmp_path}/passwords"]
    with probe_broker(tmp_path / "b", options={"acl_fallthrough": "defer"}, lines=lines, anonymous=False) as broker:
        for _ in range(3):
            assert broker.client("x", username="alice", password="two").connect_code != 0
            assert broker.client("x").connect_code != 0
            assert receives(broker, "plant/x", username="alice", password="one")
            assert not receives(broker, "other/x", username="alice", password="one")
            reloads = broker.log_text().count("Reloading config")
            os.kill(broker.process.pid, signal.SIGHUP)
            wait_for("the reload", lambda: broker.log_text().count("Reloading config") > reloads, interval_s=0.02)
        assert broker.process.is_running()


# --- wills ---------------------------------------------------------------------------------------
def dies_with_will(broker, client_id: str, topic: str) -> None:
    client = broker.client(client_id, will=(topic, b"last words"), will_retain=True)
    client.publish("instar/v1/d/" + client_id + "/hello", "x", qos=1)
    client.close()


def test_will_may_be_on_presence_and_on_no_other_topic_of_ours(tmp_path):
    with probe_broker(tmp_path) as broker, broker.client("listener") as listener:
        listener.subscribe("instar/v1/d/+/presence", "instar/v1/manifest/#", "instar/v1/root", "plant/#")
        take(listener, 1)
        dies_with_will(broker, "dev1", "instar/v1/manifest/a/press")
        dies_with_will(broker, "dev2", "instar/v1/root")
        dies_with_will(broker, "dev3", "instar/v1/d/dev1/presence")
        dies_with_will(broker, "dev4", "instar/v1/d/dev4/presence")
        dies_with_will(broker, "dev5", "plant/dev5")
        await_events(broker, "gone", 5)
        # From 2.1.3 on a will comes before the end of its connection, and looks like any message of one who may publish there (docs/broker.md).
        unseen = ["instar/v1/manifest/a/press", "instar/v1/root"] if chosen(MOSQUITTO).version() >= (2, 1, 3) else []
        expected = ["instar/v1/d/dev4/presence", *unseen, "plant/dev5"]
        assert sorted(p.topic for p in take(listener, len(expected))) == expected


# --- dynamic security ----------------------------------------------------------------------------
def dynamic_security_lines(folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mosquitto_ctrl", "dynsec", "init", str(folder / "dynsec.json"), "admin", "secret"], check=True, capture_output=True)
    text = (folder / "dynsec.json").read_text()
    text = text.replace('"publishClientSend":\tfalse', '"publishClientSend":\ttrue').replace('"subscribe":\tfalse', '"subscribe":\ttrue')
    (folder / "dynsec.json").write_text(text)
    return [f"plugin {DYNAMIC_SECURITY}", f"plugin_opt_config_file {folder}/dynsec.json"]


def test_our_denials_hold_before_dynamic_security(tmp_path):
    lines = dynamic_security_lines(tmp_path / "d")
    with probe_broker(tmp_path / "b", options={"acl_fallthrough": "defer"}, lines=lines, anonymous=False) as broker:
        admin = {"username": "admin", "password": "secret"}
        with broker.client("dev1", **admin) as one, broker.client("thief", **admin) as thief:
            thief.subscribe("instar/v1/#")
            one.subscribe("instar/v1/d/dev1/chunk")
            take(thief, 1)
            one.publish("instar/v1/d/dev1/fetch", "flood 3 10", qos=1)
            assert len(take(one, 3)) == 3
            assert thief.drain() == []
        assert "let through before this plugin was asked" not in broker.log_text()


def test_wrong_order_with_dynamic_security_is_logged_and_writes_stay_guarded(tmp_path):
    broker = probe_broker(tmp_path / "b", options={"acl_fallthrough": "defer"}, anonymous=False)
    ours = broker.configuration()
    at = ours.index("plugin ")
    broker.configuration = lambda: ours[:at] + "\n".join(dynamic_security_lines(tmp_path / "d")) + "\n" + ours[at:]
    with broker:
        with broker.client("dev1", username="admin", password="secret", version=5) as one:
            assert one.publish_for_reason("instar/v1/d/dev2/hello", b"x") == 0x87
            assert one.publish_for_reason("instar/v1/d/dev1/hello", b"x") < 0x80
        assert events(broker, "message") == ["dev1 instar/v1/d/dev1/hello 1 q1"]
        assert broker.log_text().count("let through before this plugin was asked") == 1


# --- bridges -------------------------------------------------------------------------------------
@pytest.mark.parametrize("side", ["accepting", "initiating"])
def test_bridge_speaks_for_devices_when_it_is_named(tmp_path, side):
    bridge = ["connection north", "remote_clientid hub.north", "local_clientid local.north", "notifications false", "start_type automatic",
              "restart_timeout 1", "try_private true"]
    named = {"bridges": "hub.north,local.north"}
    plain = {"plugin": False}
    if side == "accepting":
        with probe_broker(tmp_path / "hub", options=named) as hub:
            site = probe_broker(tmp_path / "site", lines=[*bridge, f"address 127.0.0.1:{hub.port}", "topic instar/v1/# both 1"], **plain)
            with site:
                speak_through(site, hub, "hub.north")
    else:
        with probe_broker(tmp_path / "site", **plain) as site:
            hub = probe_broker(tmp_path / "hub", options=named,
                               lines=[*bridge, f"address 127.0.0.1:{site.port}", "topic instar/v1/# both 1"])
            with hub:
                speak_through(site, hub, "local.north")


def speak_through(site, hub, expected_id: str) -> None:
    with site.client("dev9") as device:
        device.subscribe("instar/v1/d/dev9/#")

        def reaches() -> bool:
            device.publish("instar/v1/d/dev9/hello", "x", qos=1)
            return bool(events(hub, "message"))

        wait_for("a hello over the bridge", reaches, interval_s=0.2)
        assert events(hub, "message")[0] == f"{expected_id} instar/v1/d/dev9/hello 1 q1 bridge"
        assert "let through before this plugin was asked" not in hub.log_text()
    assert hub.process.is_running()


def test_bridge_that_is_not_named_speaks_for_nobody_else(tmp_path):
    with probe_broker(tmp_path / "hub") as hub:
        site = probe_broker(tmp_path / "site", plugin=False,
                            lines=["connection north", "remote_clientid hub-north", "notifications false", "restart_timeout 1",
                                   f"address 127.0.0.1:{hub.port}", "topic instar/v1/# out 1", "topic plant/# out 1"])
        with site, hub.client("listener") as listener, site.client("dev9") as device:
            listener.subscribe("plant/#")

            def reaches() -> bool:
                device.publish("plant/x", "x", qos=1)
                return listener.next_message(0.2) is not None

            wait_for("the bridge is up", reaches)
            device.publish("instar/v1/d/dev9/hello", "x", qos=1)
            device.publish("plant/x", "after", qos=1)
            wait_for("what came after it", lambda: listener.next_message().payload == b"after", interval_s=0)
        assert events(hub, "message") == []


# --- sizes ---------------------------------------------------------------------------------------
def test_too_large_on_our_prefix_is_refused_and_elsewhere_is_not_our_business(tmp_path):
    with probe_broker(tmp_path) as broker, broker.client("dev1", version=5) as one, broker.client("listener") as listener:
        listener.subscribe("plant/#", "$CONTROL/instar/v1/response")
        assert one.publish_for_reason("instar/v1/d/dev1/hello", b"x" * (128 * 1024)) < 0x80
        assert one.publish_for_reason("instar/v1/d/dev1/hello", b"x" * (128 * 1024 + 1)) == 0x87
        assert one.publish_for_reason("$CONTROL/instar/v1", b"x" * (128 * 1024 + 1)) == 0x87
        assert one.publish_for_reason("plant/x", b"x" * (1024 * 1024)) < 0x80
        assert one.ping()
        assert [len(p.payload) for p in take(listener, 1)] == [1024 * 1024]
        assert len(await_events(broker, "message", 1)) == 1


def test_sockets_without_a_connect_do_no_harm(tmp_path):
    import socket
    with probe_broker(tmp_path) as broker:
        for data in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c", b"\x30\x05\x00\x01a", b"\xff" * 64):
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", broker.port)) as raw:
                    raw.sendall(data)
        with broker.client("dev1") as client:
            assert client.ping() and client.ping()
        assert events(broker, "gone") == []


def test_refused_logins_leave_no_presence(tmp_path):
    with probe_broker(tmp_path, anonymous=False) as broker:
        for _ in range(5):
            try:
                assert Mqtt(broker.port, "dev1").connect_code != 0
            except Closed:
                pass
        assert events(broker, "gone") == []

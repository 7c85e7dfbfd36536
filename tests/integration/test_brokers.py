"""The same plugin file in each Mosquitto that Debian has: 2.0.11 (bookworm), 2.0.21 (trixie), 2.1 (sid). The newer ones are unpacked under
build/brokers (harness/brokers.py)."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import brokers
from harness.broker import Broker
from harness.brokers import Mosquitto
from harness.fleet import Fleet, FleetRelease
from harness.mqtt import Mqtt
from harness.operator import Keys, Operator, Refused
from harness.paper_device import PaperDevice
from harness.probe import PROBE, await_events, events, probe_broker, refused_start
from harness.process import SOURCE, free_port, wait_for
from harness.site import Site

SINCE_2_1 = (2, 1)


@pytest.fixture(scope="module", params=[brokers.HERE, *brokers.SUITES])
def mosquitto(request) -> Mosquitto:
    return brokers.prepare(request.param)


@pytest.fixture(scope="module")
def newest() -> Mosquitto:
    """For what only 2.1 has."""
    found = brokers.prepare(brokers.SUITES[-1])
    assert found.version() >= SINCE_2_1
    return found


def reload(broker: Broker) -> None:
    before = broker.log_text().count("Reloading config")
    os.kill(broker.process.pid, signal.SIGHUP)
    wait_for("the reload", lambda: broker.log_text().count("Reloading config") > before, interval_s=0.02)


# --- a rollout -----------------------------------------------------------------------------------
def test_a_device_installs_a_release_and_rolls_another_back(tmp_path, keys, mosquitto):
    with Site(tmp_path, keys, program=mosquitto.program) as site:
        device = site.add_device("d")
        site.wait_for_counts(site.publish("1.0"), {"committed": 1})
        site.wait_for_counts(site.publish("2.0", healthy=False), {"rolled_back": 1})
        assert device.release == "1.0"
        assert ("Plugin instar version " in site.broker.log_text()) == (mosquitto.version() >= SINCE_2_1)
        assert site.broker.stop() == 0


def test_ten_reloads_while_fifty_devices_take_a_release(tmp_path, keys, mosquitto):
    (tmp_path / "acl").write_text("topic readwrite instar/v1/#\ntopic readwrite $CONTROL/#\n")
    with Site(tmp_path, keys, program=mosquitto.program, options={"acl_fallthrough": "defer"}, lines=[f"acl_file {tmp_path}/acl"]) as site:
        release = FleetRelease(site, changed_bytes=60_000, in_flight_max=10)
        rollout = release.publish()
        fleet = Fleet(release, 50, rollout).start()
        try:
            for number in range(10):
                reached = 4 * number
                wait_for(f"{reached} devices are done", lambda: site.counts(rollout).get("committed", 0) >= reached, interval_s=0.05)
                reload(site.broker)
            assert fleet.wait()["done"]
        finally:
            fleet.stop()
        site.wait_for_counts(rollout, {"committed": 50})
        # The file is still in force, too.
        with site.broker.client("other") as other, site.broker.client("listener") as listener:
            listener.subscribe("plant/#")
            other.publish("plant/x", "x", qos=1)
            assert listener.drain() == []


def test_a_device_that_dies_in_a_fetch_is_known_as_gone(tmp_path, keys, mosquitto):
    """By its closed connection, and by its silence, when the keepalive is over; with a session that stays, and without."""
    with Site(tmp_path, keys, program=mosquitto.program) as site:
        site.operator.publish("1.0", site.tree("1.0", noise_bytes=600_000))
        pack = bytes.fromhex(site.operator.ask("packs", "list")["packs"][0]["pack"])
        devices = []
        for name, clean in (("dies", True), ("dies-session", False), ("silent", True), ("silent-session", False)):
            device = PaperDevice(site.broker, name, clean=clean, keepalive_s=2)
            assert device.hello()["code"] == 0
            device.fetch(1, pack, [{"first": 0, "count": 1}])
            assert device.pieces(1)
            if name.startswith("dies"):
                device.client.close()
            devices.append(device)
        for device in devices:
            wait_for(f"{device.id} is known as gone", lambda: not site.operator.device(device.id)["online"])
            # The transfer is forgotten with it: the first one that it asks for later is served.
            device.connect(site.broker, clean=False)
            assert device.hello(connect=2)["code"] == 0
            assert site.operator.device(device.id)["online"]
            device.fetch(2, pack, [{"first": 0, "count": 1}])
            assert {piece["session"] for piece in device.pieces(1)} == {2}


# --- what a broker may lack ------------------------------------------------------------------------
def what_the_operator_reads(folder: Path, keys: Keys, port: int) -> str:
    with pytest.raises(Refused) as refused:
        Operator(folder, port, keys).ask("rollout", "list", "--timeout", "10s")
    return refused.value.err


def test_a_broker_without_the_plugin_is_named(tmp_path, keys, newest):
    """2.1 answers itself to what no plugin takes."""
    with Broker(tmp_path / "b", plugin=False, program=newest.program) as broker:
        assert "this client may write to $CONTROL/instar/v1, and nobody answers there" in what_the_operator_reads(tmp_path, keys, broker.port)


def test_a_listener_of_other_protocols_is_named(tmp_path, keys, newest):
    other = free_port()
    with Broker(tmp_path / "b", options=keys.plugin_options(), program=newest.program,
                lines=[f"listener {other} 127.0.0.1", "accept_protocol_versions 5"]):
        assert "the broker does not speak MQTT 3.1.1" in what_the_operator_reads(tmp_path, keys, other)


# --- listeners -----------------------------------------------------------------------------------
def options_of(folder: Path) -> str:
    return f"plugin_opt_store_dir {folder}/store\nplugin_opt_gate_key /unused\nplugin_opt_root /unused\nplugin_opt_acl_fallthrough allow\n"


def listener_lines(*ports: int) -> str:
    return "".join(f"listener {port} 127.0.0.1\nallow_anonymous true\n" for port in ports)


def test_a_listener_that_it_would_not_guard_stops_the_start(tmp_path, mosquitto):
    head = "user root\nlog_dest stderr\n"
    one, two = listener_lines(free_port()), listener_lines(free_port())
    ways = [f"per_listener_settings true\n{head}{one}plugin {PROBE}\n{options_of(tmp_path)}{two}",
            f"per_listener_settings true\n{head}{one}{two}plugin {PROBE}\n{options_of(tmp_path)}"]
    if mosquitto.version() >= SINCE_2_1:
        ways.append(f"{head}plugin_load ours {PROBE}\n{options_of(tmp_path)}{one}plugin_use ours\n{two}")
    for number, configuration in enumerate(ways):
        output = refused_start(tmp_path / str(number), configuration, mosquitto.program)
        assert "instar: not started: per_listener_settings is true" in output, output
        assert ("global_plugin" in output) == (mosquitto.version() >= SINCE_2_1), output


def test_a_global_plugin_guards_all_listeners_whatever_their_settings(tmp_path, newest):
    broker = probe_broker(tmp_path, program=newest.program)
    ports = [broker.port, free_port()]
    broker.configuration = lambda: (f"per_listener_settings true\nuser root\nlog_dest stderr\nlog_type all\nglobal_plugin {PROBE}\n"
                                    f"{options_of(tmp_path)}{listener_lines(*ports)}")
    with broker:
        for number, port in enumerate(ports):
            with Mqtt(port, f"dev{number}", version=5) as client:
                client.subscribe(f"instar/v1/d/dev{number}/ack", "$CONTROL/instar/v1/response")
                assert client.publish_for_reason("instar/v1/d/another/hello", b"x") == 0x87
                assert client.publish_for_reason(f"instar/v1/d/dev{number}/report", b"commit") < 0x80
                client.publish("$CONTROL/instar/v1", "x")
                assert {client.next_message().payload for _ in range(2)} == {b"durable", b" said x"}
        assert len(await_events(broker, "gone", 2)) == 2 and len(events(broker, "message")) == 2
        assert broker.stop() == 0


def test_two_lines_are_one_plugin_through_reloads_and_to_the_end(tmp_path, mosquitto):
    broker = probe_broker(tmp_path, program=mosquitto.program)
    broker.lines = [f"plugin {PROBE}"] + [f"plugin_opt_{key} {value}" for key, value in broker.options.items() if value]
    with broker:
        for _ in range(3):
            with broker.client("dev1") as client:
                client.subscribe("instar/v1/d/dev1/ack")
                client.publish("instar/v1/d/dev1/report", "commit", qos=1)
                assert client.next_message().payload == b"durable"
            reload(broker)
        assert events(broker, "starts") == [""] and len(events(broker, "message")) == 3
        assert broker.stop() == 0


# --- who may do what -----------------------------------------------------------------------------
PAGE = (SOURCE / "docs/broker.md").read_text()
DEVICE, OTHER, OPERATOR, STRANGER = "gateway-17", "gateway-18", "alice", "mallory"
PASSWORD = "secret"


def rules_of_page(folder: Path) -> Path:
    file = folder / "acl"
    file.write_text(re.search(r"^# append to /etc/mosquitto/acl\n(.*?)^```", PAGE, re.S | re.M).group(1))
    return file


def passwords(folder: Path) -> str:
    file = folder / "passwords"
    file.write_text("".join(f"{user}:{PASSWORD}\n" for user in (DEVICE, OTHER, OPERATOR, STRANGER)))
    subprocess.run(["mosquitto_passwd", "-U", str(file)], check=True)
    return f"password_file {file}"


def dynamic_security(folder: Path) -> Path:
    """Its file, with an administrator only."""
    file = folder / "dynsec.json"
    subprocess.run(["mosquitto_ctrl", "dynsec", "init", str(file), "admin", PASSWORD], check=True, capture_output=True)
    return file


def give_roles_of_page(broker: Broker) -> None:
    """What the page tells to give to `mosquitto_ctrl`, sent as that sends it."""
    commands = []
    for role, kind, topic in re.findall(r"^dynsec addRoleACL (\S+) (\S+) '?([^' ]+)'? allow$", PAGE, re.M):
        if {"command": "createRole", "rolename": role} not in commands:
            commands.append({"command": "createRole", "rolename": role})
        commands.append({"command": "addRoleACL", "rolename": role, "acltype": kind, "topic": topic, "allow": True})
    for user, role in ((DEVICE, "instar-device"), (OTHER, "instar-device"), (OPERATOR, "instar-operator"), (STRANGER, None)):
        commands.append({"command": "createClient", "username": user, "password": PASSWORD})
        if role:
            commands.append({"command": "addClientRole", "username": user, "rolename": role})
    with broker.client("admin", username="admin", password=PASSWORD) as admin:
        admin.subscribe("$CONTROL/dynamic-security/v1/response")
        admin.publish("$CONTROL/dynamic-security/v1", json.dumps({"commands": commands}), qos=1)
        answers = json.loads(admin.next_message().payload)["responses"]
        assert len(answers) == len(commands) and not [answer for answer in answers if "error" in answer], answers


# What each may write, whatever the rules come from and whatever their order.
MAY_WRITE = {
    DEVICE: [f"instar/v1/d/{DEVICE}/{name}" for name in ("hello", "report", "fetch", "presence")],
    OPERATOR: ["instar/v1/manifest/a/press", "instar/v1/o/alice/put", "$CONTROL/instar/v1"],
    STRANGER: [],
}
MAY_NOT_WRITE = [f"instar/v1/d/{DEVICE}/ack", f"instar/v1/d/{DEVICE}/chunk", f"instar/v1/d/{OTHER}/hello", f"instar/v1/d/{OTHER}/report",
                 "instar/v1/gate/a/press", "instar/v1/no/such/form", "plant/x"]
# What is signed and meant for all devices: a deployment's rules may give it to strangers too.
PUBLIC = ["instar/v1/gate/a/press", "instar/v1/manifest/a/press"]
# And only our own rules keep these from an operator, whom the page lets read all that begins with instar/v1.
SECRETS = [f"instar/v1/d/{DEVICE}/chunk", f"instar/v1/d/{DEVICE}/ack"]
OPERATORS = ["$CONTROL/instar/v1/response", f"instar/v1/r/{16 * 'a'}/status"]
MAY_READ = {DEVICE: [*PUBLIC, *SECRETS], OPERATOR: [*PUBLIC, *OPERATORS], OTHER: PUBLIC}


def as_user(broker: Broker, user: str, client_id: str = "") -> Mqtt:
    client = broker.client(client_id or user, username=user, password=PASSWORD, version=5)
    assert client.connect_code == 0
    return client


def what_is_written(broker: Broker) -> dict[str, list[str]]:
    topics = [*sorted({topic for allowed in MAY_WRITE.values() for topic in allowed}), *MAY_NOT_WRITE]
    found = {}
    for user in MAY_WRITE:
        with as_user(broker, user) as client:
            found[user] = [topic for topic in topics if client.publish_for_reason(topic, b"route") < 0x80]
    return found


def what_is_read(broker: Broker) -> dict[str, list[str]]:
    topics = [*PUBLIC, *SECRETS, *OPERATORS]
    found = {}
    with as_user(broker, OPERATOR, "sender") as sender:
        for user in (*MAY_READ, STRANGER):
            with as_user(broker, user) as client:
                client.subscribe("instar/v1/#", "$CONTROL/instar/v1/#", "instar/v1/d/#", *topics)
                client.drain()
                for topic in topics:
                    sender.publish("instar/v1/manifest/b/press", f"publish {topic} 0 0 read", qos=1)
                sender.drain()
                found[user] = sorted({packet.topic for packet in client.drain() if packet.payload == b"read"})
    return found


def check_written(broker: Broker) -> None:
    assert {user: sorted(topics) for user, topics in what_is_written(broker).items()} == {u: sorted(t) for u, t in MAY_WRITE.items()}


def check_table(broker: Broker) -> None:
    check_written(broker)
    read = what_is_read(broker)
    assert set(read.pop(STRANGER)) <= set(PUBLIC)
    assert read == {user: sorted(topics) for user, topics in MAY_READ.items()}


def guarded_broker(folder: Path, mosquitto: Mosquitto, theirs: list[str], *, first: bool = False, lines: list[str] | None = None) -> Broker:
    """`theirs`: the plugin that has the rules, before ours or after it."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"acl_fallthrough": "defer", "device_identity": "username"}
    return probe_broker(folder / "b", program=mosquitto.program, options=options, anonymous=False,
                        first=theirs if first else [], lines=[*(lines or []), *([] if first else theirs)])


def test_access_with_an_acl_file(tmp_path, mosquitto):
    with guarded_broker(tmp_path, mosquitto, [], lines=[f"acl_file {rules_of_page(tmp_path)}", passwords(tmp_path)]) as broker:
        check_table(broker)
        reload(broker)
        check_table(broker)


def test_access_with_the_plugin_that_reads_acl_files(tmp_path, newest):
    theirs = [f"plugin {newest.library('mosquitto_acl_file.so')}", f"plugin_opt_acl_file {rules_of_page(tmp_path)}"]
    with guarded_broker(tmp_path, newest, theirs, lines=[passwords(tmp_path)]) as broker:
        check_table(broker)
        reload(broker)
        check_table(broker)


def test_access_with_dynamic_security(tmp_path, mosquitto):
    theirs = [f"plugin {mosquitto.library('mosquitto_dynamic_security.so')}", f"plugin_opt_config_file {dynamic_security(tmp_path)}"]
    with guarded_broker(tmp_path, mosquitto, theirs) as broker:
        give_roles_of_page(broker)
        check_table(broker)
        reload(broker)
        check_table(broker)


def check_other_plugin_first(broker: Broker) -> None:
    """Writing is guarded all the same; reading cannot be, which the page says, and the log what to do."""
    check_written(broker)
    read = what_is_read(broker)
    assert set(SECRETS) <= {*read[OPERATOR]} and not set(SECRETS) & {*read[STRANGER]}
    assert broker.log_text().count("let through before this plugin was asked") == 1


def test_access_with_dynamic_security_before_ours(tmp_path, mosquitto):
    theirs = [f"plugin {mosquitto.library('mosquitto_dynamic_security.so')}", f"plugin_opt_config_file {dynamic_security(tmp_path)}"]
    with guarded_broker(tmp_path, mosquitto, theirs, first=True) as broker:
        give_roles_of_page(broker)
        check_other_plugin_first(broker)


def test_access_with_the_plugin_that_reads_acl_files_before_ours(tmp_path, newest):
    theirs = [f"plugin {newest.library('mosquitto_acl_file.so')}", f"plugin_opt_acl_file {rules_of_page(tmp_path)}"]
    with guarded_broker(tmp_path, newest, theirs, first=True, lines=[passwords(tmp_path)]) as broker:
        check_other_plugin_first(broker)

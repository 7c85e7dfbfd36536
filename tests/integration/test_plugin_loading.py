"""How the plugin comes into a broker: its symbols, its options, its store, one instance for all listeners."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.broker import MOSQUITTO, Broker
from harness.brokers import HERE, chosen
from harness.mqtt import Closed, Mqtt
from harness.probe import OPTIONS, PROBE, events, probe_broker, refused_start
from harness.process import PLUGIN, free_port


def lines(folder: Path, options: dict[str, str], before: str = "", more: str = "") -> str:
    given = {"store_dir": str(folder / "store")} | {k: v for k, v in OPTIONS.items() if v} | options
    return (f"{before}listener {free_port()} 127.0.0.1\nuser root\nlog_dest stderr\nallow_anonymous true\nplugin {PROBE}\n"
            + "".join(f"plugin_opt_{k} {v}\n" for k, v in given.items()) + more)


@pytest.mark.parametrize("file", [PLUGIN, PROBE], ids=["plugin", "probe"])
def test_exports_the_plugin_functions_and_nothing_else(file):
    out = subprocess.run(["nm", "-D", "--defined-only", str(file)], capture_output=True, text=True, check=True).stdout
    assert sorted(line.split()[-1] for line in out.splitlines()) == [
        "mosquitto_plugin_cleanup", "mosquitto_plugin_init", "mosquitto_plugin_version"]


@pytest.mark.parametrize("file", [PLUGIN, PROBE], ids=["plugin", "probe"])
def test_asks_of_the_broker_only_what_its_headers_offer(file):
    out = subprocess.run(["nm", "-D", "--undefined-only", str(file)], capture_output=True, text=True, check=True).stdout
    wanted = {name for line in out.splitlines() if "@" not in (name := line.split()[-1])}  # with an @: the C library's
    exported = subprocess.run(["nm", "-D", "--defined-only", str(chosen(MOSQUITTO).elf)], capture_output=True, text=True, check=True).stdout
    brokers = {line.split()[-1] for line in exported.splitlines() if line.split()[-2] in "TDBR"}
    if chosen(MOSQUITTO).suite == HERE:  # what a careless global of ours would meet; Debian's newer ones show less
        assert {"db", "run"} <= brokers
    taken = wanted & brokers
    assert taken and all(name.startswith("mosquitto_") for name in taken), taken
    assert "mosquitto_broker_publish_copy" not in taken


@pytest.mark.parametrize("name,value,said", [
    ("acl_fallthrough", "maybe", ["plugin_opt_acl_fallthrough", "maybe", "defer", "allow"]),
    ("store_path", "/x", ["plugin_opt_store_path", "/x", "store_dir"]),
    ("window_bytes", "1", ["plugin_opt_window_bytes", '"1"', "512", "524288"]),
    ("prefix", "a/#", ["plugin_opt_prefix", "a/#", "instar/v1"]),
    ("store_dir", "relative", ["plugin_opt_store_dir", "relative", "absolute path"]),
    ("transfer_log", "/no/such/folder/log", ["/no/such/folder/log", "No such file"]),
])
def test_bad_option_stops_the_start_and_is_named(tmp_path, name, value, said):
    output = refused_start(tmp_path, lines(tmp_path, {name: value}))
    reason = [line for line in output.splitlines() if "instar: not started" in line]
    assert len(reason) == 1, output
    assert all(word in reason[0] for word in said), reason


def test_missing_option_is_named(tmp_path):
    output = refused_start(tmp_path, f"listener {free_port()} 127.0.0.1\nlog_dest stderr\nuser root\nplugin {PROBE}\n")
    assert "instar: not started: plugin_opt_store_dir is missing" in output


def test_per_listener_settings_is_refused_with_the_reason(tmp_path):
    port = free_port()
    output = refused_start(tmp_path, f"per_listener_settings true\nlistener {port} 127.0.0.1\nuser root\nlog_dest stderr\n"
                         f"allow_anonymous true\nplugin {PROBE}\nplugin_opt_store_dir {tmp_path}/store\n"
                         "plugin_opt_gate_key /unused\nplugin_opt_root /unused\n")
    assert "instar: not started: per_listener_settings is true" in output
    assert chosen(MOSQUITTO).version() < (2, 1) or "global_plugin" in output


def test_two_lines_and_two_listeners_share_one_store(tmp_path):
    second = free_port()
    broker = probe_broker(tmp_path)
    broker.lines = [f"listener {second} 127.0.0.1", f"plugin {PROBE}"] + [f"plugin_opt_{k} {v}" for k, v in broker.options.items() if v]
    with broker:
        assert events(broker, "starts") == [""]
        with Mqtt(broker.port, "dev1") as one, Mqtt(second, "dev2") as two:
            one.publish("instar/v1/d/dev1/hello", "x", qos=1)
            two.publish("instar/v1/d/dev2/hello", "x", qos=1)
        assert len(events(broker, "message")) == 2
        assert broker.stop() == 0


def test_two_lines_that_differ_are_refused(tmp_path):
    folder = tmp_path
    second = f"plugin {PROBE}\nplugin_opt_store_dir {folder}/other\nplugin_opt_gate_key /unused\nplugin_opt_root /unused\n"
    output = refused_start(folder, lines(folder, {}, more=second))
    assert "two `plugin` lines whose options differ" in output


def test_store_in_use_by_another_broker_is_refused(tmp_path):
    with probe_broker(tmp_path / "b") as broker:
        output = refused_start(tmp_path / "c", lines(tmp_path, {"store_dir": broker.options["store_dir"]}))
        assert "instar: not started" in output
        with Mqtt(broker.port, "dev1") as client:
            assert client.ping()


def test_stops_with_success_and_leaves_the_store_free(tmp_path):
    broker = probe_broker(tmp_path)
    for _ in range(3):
        broker.start()
        with broker.client("dev1") as client:
            client.subscribe("instar/v1/d/dev1/ack")
            client.publish("instar/v1/d/dev1/report", "commit")
            assert client.next_message().payload == b"durable"
        assert broker.stop() == 0


def test_prefix_moves_topics_and_commands(tmp_path):
    with probe_broker(tmp_path, options={"prefix": "acme/up"}) as broker, broker.client("dev1") as client:
        client.subscribe("acme/up/root", "$CONTROL/acme/up/response")
        assert client.next_message().payload == b"root of the start"
        client.publish("$CONTROL/acme/up", "x", qos=1)
        assert client.next_message().payload == b" said x"
        client.publish("instar/v1/d/dev1/hello", "x", qos=1)
        assert events(broker, "message") == []


def test_real_plugin_names_the_file_that_it_cannot_use(tmp_path):
    def start(**changes: str) -> str:
        options = {"store_dir": str(tmp_path / "store"), "gate_key": str(tmp_path / "gate.key"), "root": str(tmp_path / "root")} | changes
        return refused_start(tmp_path, f"listener {free_port()} 127.0.0.1\nuser root\nlog_dest stderr\nplugin {PLUGIN}\n"
                             + "".join(f"plugin_opt_{k} {v}\n" for k, v in options.items()))

    output = start()
    assert "plugin_opt_gate_key" in output and str(tmp_path / "gate.key") in output
    (tmp_path / "gate.key").write_text("instar-secret-key-v1 zz\n")
    assert "plugin_opt_gate_key" in start()
    (tmp_path / "gate.key").write_text("instar-secret-key-v1 " + os.urandom(32).hex() + "\n")
    output = start()
    assert "plugin_opt_root" in output and str(tmp_path / "root") in output
    (tmp_path / "root").write_bytes(b"not an envelope")
    assert "instar: not started" in start()


def test_real_plugin_says_who_must_own_the_store(tmp_path):
    (tmp_path / "gate.key").write_text("instar-secret-key-v1 " + os.urandom(32).hex() + "\n")
    (tmp_path / "root").write_bytes(b"not an envelope")
    for name in ("gate.key", "root"):
        (tmp_path / name).chmod(0o644)
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_mode & 0o005 != 0o005 and folder.owner() == "root":
            folder.chmod(folder.stat().st_mode | 0o055)
    output = refused_start(tmp_path, f"listener {free_port()} 127.0.0.1\nuser mosquitto\nlog_dest stderr\nplugin {PLUGIN}\n"
                         f"plugin_opt_store_dir {store}\nplugin_opt_gate_key {tmp_path}/gate.key\nplugin_opt_root {tmp_path}/root\n")
    assert f"plugin_opt_store_dir {store}" in output and "mosquitto" in output and "chown" in output, output
    assert "everyone on this machine can read the gate key" in output


def test_broker_that_cannot_load_it_is_not_reached(tmp_path):
    broker = Broker(tmp_path, plugin_file=PROBE, options=OPTIONS | {"window_bytes": "x"})
    (tmp_path / "mosquitto.conf").write_text(broker.configuration())
    refused_start(tmp_path / "again", broker.configuration())
    with pytest.raises((OSError, Closed)):
        Mqtt(broker.port, "nobody")

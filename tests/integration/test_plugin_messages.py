"""A message is taken, refused or routed. It is answered at once, and leaves nothing in the broker's memory."""

import re
import signal
import statistics
import struct
import tempfile
import time
from pathlib import Path

import pytest

from harness.probe import await_events, events, received_before_marker, probe_broker, sys_value, take
from harness.process import wait_for


@pytest.fixture
def broker(tmp_path):
    with probe_broker(tmp_path) as running:
        yield running


# --- verdicts ------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True])
def test_a_consumed_message_is_acknowledged_and_not_routed(broker, version, qos, retain):
    with broker.client("dev1", version=version) as one, broker.client("listener") as listener, \
         broker.client("away", clean=False) as away:
        for client in (listener, away):
            client.subscribe("instar/v1/d/#", "marker", "#")
            received_before_marker(broker, client)
        away.disconnect()
        if qos:
            assert one.publish_for_reason("instar/v1/d/dev1/report", b"consume", qos=qos, retain=retain) in (0, 0x10)
        else:
            one.publish("instar/v1/d/dev1/report", "consume", retain=retain)
        assert one.ping()
        assert await_events(broker, "message", 1) == [f"dev1 instar/v1/d/dev1/report 7 q{qos}" + (" retain" if retain else "")]
        assert received_before_marker(broker, listener) == []
    with broker.client("later") as later, broker.client("away", clean=False) as away:
        assert received_before_marker(broker, away) == []
        later.subscribe("instar/v1/d/#", "marker")
        assert received_before_marker(broker, later) == []


@pytest.mark.parametrize("verb", ["refuse", "throw"])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", [4, 5])
def test_a_refusal_is_answered_as_far_as_mqtt_can_and_the_connection_stays(broker, version, qos, verb):
    with broker.client("dev1", version=version) as one, broker.client("listener") as listener:
        listener.subscribe("instar/v1/manifest/#", "marker")
        if qos:
            assert one.publish_for_reason("instar/v1/manifest/a/press", verb.encode(), qos=qos, retain=True) == (0x87 if version == 5 else 0)
        else:
            one.publish("instar/v1/manifest/a/press", verb, retain=True)
        assert one.ping()
        assert received_before_marker(broker, listener) == []
    with broker.client("later") as later:
        later.subscribe("instar/v1/manifest/#", "marker")
        assert received_before_marker(broker, later) == []
    assert ("a message failed: as told" in broker.log_text()) == (verb == "throw")


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_routed_message_is_routed_and_retained(broker, version, qos):
    with broker.client("op", version=version) as op, broker.client("listener") as listener:
        listener.subscribe("instar/v1/manifest/#")
        if qos:
            assert op.publish_for_reason("instar/v1/manifest/a/press", b"route", qos=qos, retain=True) == 0
        else:
            op.publish("instar/v1/manifest/a/press", "route", retain=True)
        received = listener.next_message()
        assert (received.topic, received.payload) == ("instar/v1/manifest/a/press", b"route")
    with broker.client("later") as later:
        later.subscribe("instar/v1/manifest/#", "marker")
        assert [(p.payload, p.retained) for p in received_before_marker(broker, later)] == [(b"route", True)]


def test_one_taken_message_does_not_hide_the_next(broker):
    with broker.client("op") as op, broker.client("listener") as listener:
        listener.subscribe("instar/v1/manifest/#", "marker")
        for verb in ("consume", "route", "consume", "refuse", "route"):
            op.publish("instar/v1/manifest/a/press", verb, qos=1)
        assert [p.payload for p in received_before_marker(broker, listener)] == [b"route", b"route"]


# --- commands ------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_command_is_answered_to_all_who_listen_and_never_routed(broker, version, qos):
    with broker.client("op", version=version, username="alice") as op, broker.client("listener") as listener:
        op.subscribe("$CONTROL/instar/v1/response")
        listener.subscribe("$CONTROL/#")
        if qos:
            assert op.publish_for_reason("$CONTROL/instar/v1", b"hello", qos=qos) == 0
        else:
            op.publish("$CONTROL/instar/v1", b"hello")
        assert [(p.topic, p.payload) for p in take(listener, 1)] == [("$CONTROL/instar/v1/response", b"alice said hello")]
        assert [p.payload for p in take(op, 1)] == [b"alice said hello"]


def test_broken_command_does_not_close_the_connection(broker):
    with broker.client("op", version=5) as op:
        assert op.publish_for_reason("$CONTROL/instar/v1", b"throw") == 0
        assert op.publish_for_reason("$CONTROL/instar/v1/other", b"x") in (0, 0x87)
        assert op.ping()
    assert "a command failed" in broker.log_text()


def test_nobody_else_speaks_on_the_response_topic(broker):
    with broker.client("op") as op, broker.client("listener") as listener:
        listener.subscribe("$CONTROL/instar/v1/response")
        op.publish("$CONTROL/instar/v1/response", "forged", qos=1)
        assert listener.drain() == []


# --- presence ------------------------------------------------------------------------------------
def test_presence_follows_the_connection_that_spoke_last(broker):
    first = broker.client("dev1")
    first.publish("instar/v1/d/dev1/hello", "x", qos=1)
    second = broker.client("dev1")  # takes over: the first is closed by the broker
    second.publish("instar/v1/d/dev1/hello", "x", qos=1)
    assert await_events(broker, "gone", 1) == ["dev1"]
    order = [line.split("instar: probe ")[1].split()[0] for line in broker.log_text().splitlines() if "instar: probe " in line]
    assert order == ["starts", "message", "gone", "message"]
    second.close()
    assert await_events(broker, "gone", 2) == ["dev1", "dev1"]


def test_returning_session_is_gone_once_each_time(broker):
    for count in range(1, 5):
        client = broker.client("dev1", clean=False)
        client.publish("instar/v1/d/dev1/hello", "x", qos=1)
        client.close()
        assert len(await_events(broker, "gone", count)) == count
    with broker.client("dev1", clean=False) as client:
        assert client.ping()
    with broker.client("dev2") as client:
        client.publish("instar/v1/d/dev2/hello", "x", qos=1)
    assert await_events(broker, "gone", 5) == [*4 * ["dev1"], "dev2"]


def test_many_clients_of_one_address_are_distinguished(broker):
    for number in range(40):
        with broker.client(f"dev{number % 8}") as client:
            client.publish(f"instar/v1/d/dev{number % 8}/hello", "x", qos=1)
    assert sorted(await_events(broker, "gone", 40)) == sorted(f"dev{n % 8}" for n in range(40))


def test_disconnect_and_keepalive_count_too(broker):
    client = broker.client("dev1")
    client.publish("instar/v1/d/dev1/hello", "x", qos=1)
    client.disconnect()
    assert await_events(broker, "gone", 1) == ["dev1"]


# --- memory --------------------------------------------------------------------------------------
HEAP = "broker/heap/current"


def back_to(broker, before: int) -> None:
    """Mosquitto measures once a second: a figure of the moment before is no leak, one that stays is."""
    wait_for(f"the heap is back at {before}", lambda: abs(sys_value(broker, HEAP) - before) < 64 * 1024)


def ask_for(broker, device: str, count: int, size: int, rounds: int) -> None:
    """Rounds of pieces to a device, asked for over a connection of its own name that ends again."""
    client = broker.client(device)
    for _ in range(rounds):
        client.publish(f"instar/v1/d/{device}/fetch", f"flood {count} {size}", qos=1)
    client.close()


def test_pieces_to_nobody_leave_nothing_behind(broker):
    ask_for(broker, "dev1", 16, 32768, 10)
    before = sys_value(broker, HEAP)
    ask_for(broker, "dev1", 16, 32768, 100)  # 50 MB to a device that listens to nothing
    back_to(broker, before)


def test_reader_that_stalls_holds_its_queue_and_no_more(broker):
    ask_for(broker, "dev1", 16, 32768, 10)
    before = sys_value(broker, HEAP)
    stalled = broker.client("dev1", receive_buffer=4096)
    stalled.subscribe("instar/v1/d/dev1/chunk", qos=0)
    for _ in range(20):
        stalled.publish("instar/v1/d/dev1/fetch", "flood 100 32768")  # past the broker's queue of 1000: half of it is dropped
    await_events(broker, "message", 30)
    wait_for("the queue is full", lambda: sys_value(broker, HEAP) - before > 1_000 * 1024)
    assert sys_value(broker, HEAP) - before < 1_100 * 33_000
    with broker.client("other") as other:
        assert other.ping()
    stalled.close()
    await_events(broker, "gone", 2)
    back_to(broker, before)


def test_heap_figure_stays_sane(broker):
    with broker.client("dev1") as client:
        client.subscribe("instar/v1/d/dev1/chunk", qos=0)
        for _ in range(50):
            client.publish("instar/v1/d/dev1/fetch", "flood 16 20000")
            assert len([client.next_message() for _ in range(16)]) == 16
    assert 0 < sys_value(broker, HEAP) < 50_000_000
    assert 0 < sys_value(broker, "broker/heap/maximum") < 100_000_000


# --- answers -------------------------------------------------------------------------------------
def test_the_loop_of_an_idle_broker_goes_round(tmp_path):
    """Most do so by themselves, ten times a second. A Mosquitto 2.1 that was built without websockets does when a plugin asks for it."""
    with probe_broker(tmp_path, lines=["sys_interval 0"]) as broker:
        main = Path(f"/proc/{broker.process.pid}/task/{broker.process.pid}/status")

        def sleeps() -> int:
            return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", main.read_text(), re.M).group(1))

        before = sleeps()
        wait_for("it has gone round twenty times", lambda: sleeps() >= before + 20)


def test_what_is_durable_is_answered_without_waiting_for_the_loop(tmp_path):
    """The same work with and without waking the loop, which looks by itself ten times a second. A busy machine delays either: that one
    that is woken answers much sooner is waited for. The store is in memory, so that no disk has a part in it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory, \
         probe_broker(tmp_path, options={"store_dir": f"{memory}/store"}) as broker, broker.client("dev1") as client:
        client.subscribe("instar/v1/d/dev1/ack", qos=0)

        def answer_s(verb: str) -> float:
            begin = time.monotonic()
            client.publish("instar/v1/d/dev1/report", verb)
            assert client.next_message().payload == b"durable"
            return time.monotonic() - begin

        def usual_s(verb: str) -> float:
            return statistics.median(answer_s(verb) for _ in range(9))

        wait_for("answers come much sooner", lambda: usual_s("commit") * 3 < usual_s("commit-unwoken"), interval_s=0)


def test_every_commit_is_answered(broker):
    with broker.client("dev1") as client:
        client.subscribe("instar/v1/d/dev1/ack", qos=0)
        for _ in range(2000):
            client.publish("instar/v1/d/dev1/report", "commit")
        for _ in range(2000):
            assert client.next_message().payload == b"durable"


def test_retained_truth_is_published_again_after_kill_9(tmp_path):
    broker = probe_broker(tmp_path)
    with broker:
        with broker.client("op") as op:
            op.publish("instar/v1/d/op/hello", "publish instar/v1/root 1 1 newer", qos=1)
        broker.kill()
        broker.start()
        with broker.client("later") as later:
            later.subscribe("instar/v1/root")
            assert [(p.payload, p.retained) for p in take(later, 1)] == [(b"root of the start", True)]


def test_what_devices_say_cannot_forge_log_lines(broker):
    with broker.client("dev1") as client:
        client.publish("instar/v1/d/dev1/report", b"say \x1b[2J\n1795418610: forged %s%n\x7f", qos=1)
    assert "instar: say ?[2J?1795418610: forged %s%n?\n" in broker.log_text()


def test_broker_ends_cleanly_in_the_middle_of_everything(broker):
    client = broker.client("dev1")
    client.subscribe("instar/v1/d/dev1/#", qos=0)
    for _ in range(300):
        client.publish("instar/v1/d/dev1/report", "commit")
        client.publish("instar/v1/d/dev1/fetch", "flood 16 1000")
    assert broker.process.end(signal.SIGTERM) == 0


def test_duplicate_of_qos_2_reaches_the_service_and_the_handshake_ends(broker):
    with broker.client("dev1") as client:
        body = b"\x00\x17instar/v1/d/dev1/report\x00\x07consume"
        assert struct.unpack(">H", body[:2])[0] == len("instar/v1/d/dev1/report")
        client.send(0x34, body)
        assert client.await_kind(5) is not None
        client.send(0x3C, body)
        assert client.await_kind(5) is not None
        client.send(0x62, b"\x00\x07")
        assert client.await_kind(7) is not None
    assert len(events(broker, "message")) == 2

"""The link shaper does what its settings say: other tests rest on it."""

import time

import pytest
from harness.broker import Broker
from harness.mqtt import Closed
from harness.process import wait_for
from harness.shaper import Shaper


@pytest.fixture
def link(tmp_path):
    with Broker(tmp_path, plugin=False) as broker, Shaper(broker.port) as shaper:
        yield broker, shaper


def client(shaper, name):
    from harness.mqtt import Mqtt
    return Mqtt(shaper.port, name)


def test_delay_holds_each_way(link):
    _, shaper = link
    listener = client(shaper, "a")
    shaper.delay_s = 0.1
    began = time.monotonic()
    assert listener.ping()
    assert time.monotonic() - began >= 0.2


def test_rate_holds_and_order_is_kept(link):
    broker, shaper = link
    listener = client(shaper, "a")
    listener.subscribe("x")
    shaper.rate_down, shaper.jitter_s = 200_000, 0.05
    began = time.monotonic()
    with broker.client("b") as sender:
        for number in range(20):
            sender.publish("x", bytes([number]) * 10_000)
        received = [listener.next_message().payload[0] for _ in range(20)]
    assert received == list(range(20))
    assert time.monotonic() - began >= 0.8  # 200 kB at 200 kB/s, less what was on its way


def test_cut_is_seen_at_both_ends(link):
    broker, shaper = link
    listener = client(shaper, "a")
    listener.subscribe("x")
    shaper.cut()
    with pytest.raises(Closed):
        listener.ping()
    shaper.cut_every_bytes = 5_000
    listener = client(shaper, "a")
    listener.subscribe("x")
    with broker.client("b") as sender, pytest.raises(Closed):
        for _ in range(10):
            sender.publish("x", b"y" * 1_000, qos=1)
        for _ in range(10):
            assert listener.next_message()
    assert shaper.cuts == 2


def test_refused_connections(link):
    _, shaper = link
    shaper.refusing = True
    with pytest.raises((Closed, OSError)):
        client(shaper, "a")
    shaper.refusing = False
    assert client(shaper, "a").ping()


def test_stall_holds_what_the_broker_sends(link):
    broker, shaper = link
    listener = client(shaper, "a")
    listener.subscribe("x")
    shaper.stall()
    before = shaper.bytes_down
    with broker.client("b") as sender:
        for _ in range(40):
            sender.publish("x", b"y" * 50_000, qos=1)
    assert shaper.bytes_down == before
    shaper.stall_at = before + 70_000
    assert listener.next_message()
    wait_for("it stands still again", shaper.stands)
    assert shaper.bytes_down == before + 70_000
    shaper.stall_at = None
    assert [len(listener.next_message().payload) for _ in range(39)] == 39 * [50_000]


def test_half_closed_is_seen_by_the_client_alone(link):
    broker, shaper = link
    listener = client(shaper, "a")
    listener.subscribe("x")
    shaper.half_close()
    with pytest.raises(Closed):
        listener.receive()
    assert shaper.cuts == 1
    broker.turn()
    assert "Client a " not in broker.log_text(), "the broker has noticed"
    assert client(shaper, "a").ping()


def test_each_so_manieth_connection_is_refused_from_the_second_on(link):
    _, shaper = link
    shaper.refuse_every = 3

    def gets_through(name):
        try:
            return client(shaper, name).ping()
        except (Closed, OSError):
            return False

    assert [gets_through(f"c{number}") for number in range(6)] == [True, False, True, True, False, True]


def test_a_new_connection_takes_a_round_trip_more(link):
    _, shaper = link
    shaper.delay_s, shaper.handshake = 0.1, True
    began = time.monotonic()
    client(shaper, "a")
    assert time.monotonic() - began >= 0.4


def test_what_was_on_its_way_at_a_cut_is_counted(link):
    broker, shaper = link
    listener = client(shaper, "a")
    listener.subscribe("x")
    shaper.delay_s = 300
    with broker.client("b") as sender:
        sender.publish("x", b"y" * 1_000)
    # All of it has left the queue, and none of it arrives so soon.
    wait_for("the message is on its way", lambda: shaper.bytes_read - shaper.bytes_down > 1_000)
    wait_for("it is stamped", lambda: sum(c.down.in_the_air() for c in shaper._open) > 1_000)
    shaper.cut()
    assert shaper.bytes_lost > 1_000

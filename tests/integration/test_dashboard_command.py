"""`instar dashboard`: the page and its way to a broker that has no WebSockets, in Chromium and by bytes of our own."""

import http.client
import json
import os
import signal
import subprocess
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from harness.browser import Browser
from harness.broker import Broker
from harness.mqtt import Closed, Mqtt
from harness.process import BUILD, HANGS_S, INSTAR, Process, free_port, wait_for
from harness.site import Site
from harness.tls import Authority
from harness.websocket import Refused, WebSocket

PAGE = BUILD / "dashboard/instar-dashboard.html"
CHANNELS = 16  # kPageChannelsMax


class Dashboard:
    """The command while it serves."""

    def __init__(self, folder, broker: str, *options: str):
        self.process = Process(folder / "dashboard.log")
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "INSTAR_BROKER": broker}
        self.process.spawn([str(INSTAR), "dashboard", "--json", "--timeout", f"{HANGS_S}s", *options], env=environment)
        said = wait_for("the command says its address", self._said)
        self.address, self.broker = said["address"], said["broker"]
        parts = urlsplit(self.address)
        self.port, self.path = parts.port, parts.path + "/"

    def _said(self) -> dict | None:
        assert self.process.is_running(), self.process.log_text()
        try:
            return json.loads(self.process.log_text())
        except json.JSONDecodeError:
            return None

    def __enter__(self) -> "Dashboard":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.end(signal.SIGKILL)

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS_S)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def socket(self, **options: str | None) -> WebSocket:
        return WebSocket(self.port, options.pop("path", None) or self.path, **options)

    def client(self, client_id: str, **options) -> Mqtt:
        return Mqtt(self.port, client_id, stream=self.socket(), **options)


@pytest.fixture
def page():
    assert PAGE.exists(), f"{PAGE} was not built: does npm work here? (ninja -C {BUILD} instar_dashboard says why not)"
    return PAGE


@pytest.fixture
def passwords(tmp_path):
    file = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(file), "alice", "secret"], check=True)
    return file


@pytest.fixture
def site(tmp_path, keys, passwords):
    with Site(tmp_path, keys, lines=[f"password_file {passwords}"]) as found:
        yield found


@pytest.fixture
def plain(tmp_path, page):
    """A broker without the plugin, and the command for it."""
    with Broker(tmp_path / "broker", plugin=False) as broker, Dashboard(tmp_path, f"mqtt://127.0.0.1:{broker.port}") as served:
        served.of = broker
        yield served


def test_a_person_logs_in_and_pauses_a_rollout_at_a_broker_without_websockets(site, tmp_path, page):
    device = site.add_device("a")
    rollout = site.publish("1.0", options=("--wave", f"{device.id}:soak=4h"))
    site.wait_for_counts(rollout, {"committed": 1})
    with Dashboard(tmp_path, f"mqtt://127.0.0.1:{site.broker.port}") as served, Browser(tmp_path) as browser:
        browser.open(served.address)
        browser.login("alice", "wrong", sees="refused this login")
        browser.login("alice", "secret")
        browser.see("What runs", "1.0")
        browser.go(f"#/rollout/{rollout}")
        browser.press("Pause", "//main")
        browser.press("Pause", "//dialog")
        wait_for("the rollout is paused", lambda: site.operator.rollout(rollout)["state"] == "paused")
        events = site.operator.ask("rollout", "history", rollout)["events"]
        assert any(event["who"] == "alice" for event in events)
        # A broker that goes takes the page's connection with it, and one that comes back is found.
        site.broker.stop()
        browser.see("Connection lost, trying again")
        site.broker.start()
        browser.see_no_more("Connection lost")
        assert browser.complaints() == []
        assert served.process.end(signal.SIGINT) == 0


def test_the_address_leads_to_the_page_and_tells_it_where_the_broker_is(plain):
    status, headers, _ = plain.get(plain.path.rstrip("/"))
    assert status == 302
    to = urlsplit(headers["location"])
    assert (to.netloc, to.path) == (f"127.0.0.1:{plain.port}", plain.path)
    assert parse_qs(to.query) == {"broker": [f"ws://127.0.0.1:{plain.port}{plain.path}"], "prefix": ["instar/v1"]}
    status, headers, body = plain.get(f"{to.path}?{to.query}")
    assert (status, body) == (200, PAGE.read_bytes())
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"] == "frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert plain.get(plain.path, Host=f"localhost:{plain.port}")[0] == 200


def test_bytes_pass_as_they_are(plain):
    with plain.client("page") as page, plain.of.client("other") as other:
        page.subscribe("to/page", qos=0)
        other.subscribe("to/other", qos=0)
        for size in (0, 1, 125, 126, 65_535, 65_536, 3_000_000):
            payload = os.urandom(size)
            other.publish("to/page", payload, qos=1)
            assert page.next_message().payload == payload
            page.publish("to/other", payload, qos=1)
            assert other.next_message().payload == payload


@pytest.mark.parametrize("path", ["/", "/{token}x/", "/{token}/x", "/{wrong}/", "/{wrong}", "/{token}/../{token}/x",
                                  "/index.html", "/favicon.ico", "/" + "a" * 3000])
def test_without_the_token_there_is_nothing(plain, path):
    token = plain.path.strip("/")
    path = path.format(token=token, wrong=("0" if token[0] != "0" else "1") + token[1:])
    status, _, body = plain.get(path)
    assert status >= 400 and token.encode() not in body
    with pytest.raises(Refused):
        plain.socket(path=path)


@pytest.mark.parametrize("host", ["evil.example.org", "evil.example.org:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:{port}.evil.org", "[::1]:{port}",
                                  ""])
def test_a_name_that_was_made_to_lead_here_gets_nothing(plain, host):
    host = host.format(port=plain.port)
    for path in (plain.path, plain.path.rstrip("/")):
        assert plain.get(path, Host=host)[0] >= 400
    with pytest.raises(Refused):
        plain.socket(Host=host, Origin=f"http://{host}")


@pytest.mark.parametrize("origin", [None, "", "null", "http://evil.example.org", "http://127.0.0.1", "http://127.0.0.1:1", "https://127.0.0.1:{port}",
                                    "http://localhost:{port}", "http://127.0.0.1:{port}/", "http://127.0.0.1:{port}.evil.org"])
def test_another_page_of_the_browser_gets_no_connection(plain, origin):
    with pytest.raises(Refused):
        plain.socket(Origin=origin and origin.format(port=plain.port))
    plain.client("own").close()


def test_it_speaks_mqtt_alone(plain):
    for protocol in (None, "http", "broker", "chat"):
        with pytest.raises(Refused):
            plain.socket(protocol=protocol)
    text = plain.socket()
    text.sendall(b"words", kind=1)
    assert text.recv(100) == b"", "a text is no MQTT"


def test_it_is_reached_from_this_machine_alone(plain):
    listening = subprocess.run(["ss", "-Hltn", f"sport = :{plain.port}"], capture_output=True, text=True, check=True).stdout.split()
    assert listening[3] == f"127.0.0.1:{plain.port}" and len(listening) < 8


def test_a_broker_that_ends_a_connection_ends_the_pages_after_its_last_words(tmp_path, page, passwords):
    with Broker(tmp_path / "broker", plugin=False, lines=[f"password_file {passwords}"]) as broker, \
            Dashboard(tmp_path, f"mqtt://127.0.0.1:{broker.port}") as served:
        with served.client("page", username="alice", password="wrong") as refused:
            assert refused.connect_code in (4, 5)
            with pytest.raises(Closed):
                refused.receive()
        with served.client("page", username="alice", password="secret") as taken:
            assert taken.connect_code == 0
            broker.kill()
            with pytest.raises(Closed):
                taken.receive()
        late = served.socket()
        assert late.recv(100) == b"", "nobody is there"
        wait_for("the operator is told", lambda: "cannot reach" in served.process.log_text())
        broker.start()
        served.client("page", username="alice", password="secret").disconnect()


def test_a_page_that_goes_takes_its_connection_with_it(plain):
    with plain.of.client("other") as other:
        other.subscribe("will", qos=0)
        plain.client("page", will=("will", b"gone")).close()
        assert other.next_message().payload == b"gone"


def test_a_page_that_does_not_read_holds_no_memory(plain):
    """What the broker has for it stays at the broker: of 100 MB nearly all."""
    with plain.client("page") as page, plain.of.client("other") as other:
        page.subscribe("to/page", qos=0)
        before = plain.process.memory_kb()
        for _ in range(100):
            other.publish("to/page", os.urandom(1_000_000), qos=1)
        assert plain.process.memory_kb() - before < 8_000
        # And another one is served meanwhile.
        with plain.client("second") as second:
            assert second.ping()


def test_a_broker_that_does_not_read_holds_the_page_up(plain):
    """The broker is stopped; what the page goes on saying stays in its own socket."""
    stream = plain.socket()
    page = Mqtt(plain.port, "page", stream=stream)
    os.kill(plain.of.process.pid, signal.SIGSTOP)
    try:
        before = plain.process.memory_kb()
        stream.socket.settimeout(3)
        with pytest.raises((TimeoutError, OSError)):
            for _ in range(400):
                stream.sendall(bytes(65_000))
        assert plain.process.memory_kb() - before < 8_000
    finally:
        os.kill(plain.of.process.pid, signal.SIGCONT)
    page.close()


def test_so_many_pages_and_no_more(plain):
    pages = [plain.client(f"page-{number}") for number in range(CHANNELS)]
    with pytest.raises((Closed, Refused)):
        plain.client("one-more")
    pages[0].close()

    def has_room() -> bool:
        try:
            plain.client("again").close()
            return True
        except (Closed, Refused):
            return False
    wait_for("there is room again", has_room)
    assert pages[1].ping()
    for each in pages[1:]:
        each.close()


def test_an_idle_connection_stays(plain):
    """Past the time that a handshake may take; a page pings each two minutes."""
    with plain.client("page") as page:
        time.sleep(25)
        assert page.ping()


def test_tls_with_a_client_certificate_is_the_commands_to_bring(tmp_path, page):
    authority, stranger = Authority(tmp_path / "ca", "The plant's CA"), Authority(tmp_path / "other-ca", "Another CA")
    server, operator = authority.certificate("localhost"), authority.certificate("operator", "email:op@example.org")
    port = free_port()
    lines = [f"listener {port} 127.0.0.1", f"cafile {authority.file}", *server.listener, "require_certificate true", "use_identity_as_username true"]
    with Broker(tmp_path / "broker", plugin=False, lines=lines):
        own = ("--cert", str(operator.file), "--key-file", str(operator.key))
        for host in ("localhost", "127.0.0.1"):
            with Dashboard(tmp_path, f"mqtts://{host}:{port}", "--ca", str(authority.file), *own) as served:
                with served.client("page") as client:
                    assert client.connect_code == 0
                    assert client.ping()
                served.process.log.unlink()
        done = instar("--broker", f"mqtts://localhost:{port}", "--ca", str(stranger.file), *own)
        assert done.returncode == 3 and "certificate" in done.stderr, done.stderr
        # What a broker thinks of a certificate it says after the handshake: before the page is served, or when one connects.
        other = stranger.certificate("operator")
        for certificate in ((), ("--cert", str(other.file), "--key-file", str(other.key))):
            served = Process(tmp_path / "refused.log")
            served.spawn([str(INSTAR), "dashboard", "--json", "--broker", f"mqtts://localhost:{port}", "--ca", str(authority.file), *certificate],
                         env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})
            wait_for("it serves, or has ended", lambda: "address" in served.log_text() or not served.is_running())
            if served.is_running():
                parts = urlsplit(json.loads(served.log_text())["address"])
                WebSocket(parts.port, parts.path + "/").recv(1)
            wait_for("the operator is told", lambda: "certificate" in served.log_text())
            served.kill()
            served.log.unlink()


def instar(*options: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(INSTAR), "dashboard", *options], capture_output=True, text=True, timeout=HANGS_S,
                          env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})


def test_what_cannot_work_is_said_before_anything_is_served(tmp_path, plain):
    broker = f"mqtt://127.0.0.1:{plain.of.port}"
    for options, code, says in [
        (("--broker", f"mqtt://127.0.0.1:{free_port()}"), 3, "refused"),
        (("--broker", broker, "--page", str(tmp_path / "none.html")), 5, "none.html"),
        (("--broker", broker, "--port", str(plain.port)), 1, "--port names another one"),
        (("--broker", "mqtt://broker.example.org"), 4, "mqtts://"),
        (("--broker", "wss://broker.example.org"), 5, "WebSocket"),
    ]:
        done = instar(*options)
        assert says in done.stderr and done.returncode == code and not done.stdout, (options, done)
    copy = tmp_path / "instar"
    copy.write_bytes(INSTAR.read_bytes())
    copy.chmod(0o755)
    done = subprocess.run([copy, "dashboard", "--broker", broker], capture_output=True, text=True, timeout=HANGS_S)
    assert done.returncode == 5 and "npm" in done.stderr and "--page" in done.stderr


def test_ctrl_c_ends_it_while_pages_are_open(plain):
    with plain.client("page") as page:
        assert plain.process.end(signal.SIGINT) == 0
        with pytest.raises(Closed):
            page.receive()

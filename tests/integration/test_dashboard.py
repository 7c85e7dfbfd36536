"""The dashboard in Chromium, against a real broker, plugin and devices, driven as a person drives it. What it looked like is in
build/report/dashboard."""

import gzip
import json
import re
import shutil
import subprocess
import time

import pytest
from harness.browser import DESKTOP, PHONE, Browser
from harness.hellos import OPTIONS, Hellos
from harness.operator import health
from harness.process import BUILD, SOURCE, free_port, wait_for
from harness.site import Site

PAGE = BUILD / "dashboard/instar-dashboard.html"
SHOTS = SOURCE / "build/report/dashboard"
LOOKS = [(name, size, scheme) for name, size in (("phone", PHONE), ("desktop", DESKTOP)) for scheme in ("light", "dark")]
DEVICES = 10_000
NO_SPACE, UNHEALTHY = 10, 15  # core/base/error.hpp
BROKEN = "/var/lib/data/broken"


def web_lines(page_folder, port: int) -> list[str]:
    """Of mosquitto.conf, as docs/dashboard.md has them."""
    text = (SOURCE / "docs/dashboard.md").read_text()
    lines = re.search(r"^```conf websockets\n(.*?)^```", text, re.S | re.M).group(1)
    return lines.replace("9001", f"{port} 127.0.0.1").replace("/usr/share/instar/dashboard", str(page_folder)).splitlines()


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory):
    assert PAGE.exists(), f"{PAGE} was not built: does npm work here? (ninja -C {BUILD} instar_dashboard says why not)"
    folder = tmp_path_factory.mktemp("www")
    shutil.copy(PAGE, folder / "index.html")
    return folder


@pytest.fixture
def web(tmp_path, keys, page_folder):
    """A site whose broker serves the page, and who `alice` is."""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "alice", "secret"], check=True)
    port = free_port()
    with Site(tmp_path, keys, lines=[f"password_file {passwords}", *web_lines(page_folder, port)], options=OPTIONS) as site:
        site.address = f"http://127.0.0.1:{port}/"
        yield site


@pytest.fixture
def browser(tmp_path):
    with Browser(tmp_path) as found:
        yield found
        assert found.complaints() == []


# Contrast of each text with what lies behind it: WCAG's formula, 4.5 for text, 3 for large text.
CONTRAST = """
const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1]; };
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => { for (let at = element; at; at = at.parentElement) { const c = parse(getComputedStyle(at).backgroundColor); if (c[3] > 0.99) return c; } return [255, 255, 255]; };
const bad = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest('script, style, button:disabled, .skip')) continue;
  const style = getComputedStyle(element), one = light(parse(style.color)), two = light(behind(element));
  const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 600);
  if (ratio < (isLarge ? 3 : 4.5)) bad.push(`${ratio.toFixed(2)}: ${walker.currentNode.data.trim().slice(0, 40)}`);
}
return bad;
"""


def look(browser: Browser, name: str) -> None:
    """At the view that is open: on a phone and on a desktop, dark and light. Nothing is wider than the window, each text can be read."""
    for device, size, scheme in LOOKS:
        browser.size(*size)
        browser.scheme(scheme)
        browser.until_drawn()
        browser.screenshot(SHOTS / f"{name}-{size[0]}-{scheme}.png")
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= size[0], f"{name} is cut off on a {device}"
        assert browser.driver.execute_script(CONTRAST) == [], f"{name}, {scheme}"
    browser.size(*DESKTOP)
    browser.scheme("light")


def look_at_all(browser: Browser, name: str, views: dict[str, tuple[str, str]]) -> None:
    for view, (address, words) in views.items():
        browser.go(address)
        browser.see(words)
        browser.see_no_more("asking the broker", "…\n")
        look(browser, f"{view}-{name}")


def views_of(rollout: str, device: str) -> dict[str, tuple[str, str]]:
    """View → address, and a word that is there when it is."""
    return {"fleet": ("#/fleet", "What runs"), "groups": ("#/groups", "below it too"), "rollouts": ("#/rollouts", "the newest first"),
            "devices": ("#/devices", "Last seen"), "log": ("#/log", "published"), "rollout": (f"#/rollout/{rollout}", "Who did what"),
            "device": (f"#/device/{device}", "Sent to it")}


def test_the_page_is_one_small_file_that_asks_for_nothing(page_folder):
    page = (page_folder / "index.html").read_text()
    assert len(gzip.compress(PAGE.read_bytes(), 9)) <= 250_000
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page).group(1)
    assert "default-src 'none'" in policy and "unsafe" not in policy and "require-trusted-types-for 'script'" in policy
    assert not re.search(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!data:)', page)
    for package in ("preact", "mqtt", "uplot"):
        assert f"{package} " in page.split("</html>")[1], "its terms"


def test_an_empty_broker_says_what_comes_next(web, browser):
    browser.open(web.address)
    look(browser, "login")
    browser.login("alice", "secret")
    browser.see("Nothing needs you", "No rollouts yet", "No devices yet")
    look(browser, "fleet-0")
    for view, words in {"groups": "No groups yet", "rollouts": "No rollouts yet", "devices": "No devices known here", "log": "Nothing has happened yet"}.items():
        browser.go(f"#/{view}")
        browser.see(words)
        look(browser, f"{view}-0")


# --- a person and a rollout that goes wrong -------------------------------------------------------
@pytest.fixture
def going_wrong(web):
    """Three devices on 1.0; of 2.0 the first wave is stuck, because its probe fails on the second device, and would then wait for approval."""
    devices = [web.add_device(name) for name in "abc"]
    artifact = {release: str(web.operator.pack(web.tree(release, noise_bytes=200_000))) for release in ("1.0", "2.0")}

    def container(release: str, *probe: str) -> list[dict]:
        return [{"name": "app", "artifact": artifact[release], "init": ["/sbin/service"], "volumes": [{"name": "data", "path": "/var/lib/data"}],
                 "health": health(*probe, settle="300ms", interval="100ms")}]

    web.wait_for_counts(web.publish("1.0", containers=container("1.0", "/bin/true")), {"committed": 3})
    devices[1].ask("app", "/bin/touch", BROKEN)
    probe = ("/bin/sh", "-c", f"test ! -e {BROKEN} || {{ echo 'the data is of an older version'; exit 1; }}")
    first = ",".join(device.id for device in devices[:2])
    rollout = web.publish("2.0", containers=container("2.0", *probe), options=("--wave", f"{first}:success=100%,approval", "--revert-allowed"))
    wait_for("the first wave is stuck", lambda: web.operator.rollout(rollout)["state"] == "paused")
    return rollout, devices


def act(browser: Browser, name: str, does: str) -> None:
    """Presses a button of the rollout, reads what it will do, and says yes."""
    browser.press(name, "//main")
    browser.see(does)
    browser.press(name, "//dialog")
    wait_for("the question is gone", lambda: not browser.driver.find_elements("xpath", "//dialog"))


def test_a_stuck_wave_is_seen_retried_approved_and_reverted(web, browser, going_wrong):
    rollout, devices = going_wrong
    browser.open(web.address)
    browser.login("alice", "secret")
    # At a glance, and with two presses: which wave stands still, and why.
    browser.see("stands still", "test-box 2.0 is paused in wave 1 of 2", "the data is of an older version")
    browser.press("test-box 2.0 is paused")
    browser.see("wave 1 cannot go on", "stuck here", "the data is of an older version", "1 rolled back")
    look_at_all(browser, "3", views_of(rollout, devices[1].id))
    browser.see("unhealthy", "the data is of an older version", "rolled back")
    browser.go(f"#/rollout/{rollout}")
    browser.press(devices[1].id, "//section[h2='Devices']")
    browser.see("Revisions", "the data is of an older version")

    browser.go(f"#/rollout/{rollout}")
    browser.press("Abort", "//main")
    browser.see("The rollout ends for good")
    look(browser, "question-3")
    browser.press("Cancel")
    assert web.operator.rollout(rollout)["state"] == "paused", "a question alone does nothing"

    devices[1].ask("app", "/bin/busybox", "rm", BROKEN)
    act(browser, "Retry and resume", "may try the same release again: 1 device")
    browser.see("wants approval", "waits for")
    act(browser, "Approve wave 2", "Wave 2 of 2 opens")
    browser.see("3 of 3 devices have committed", "complete")
    web.wait_for_counts(rollout, {"committed": 3})
    act(browser, "Revert", "go back to the revision before it, and their containers restart: 3 devices")
    browser.see("reverted", "is taken back")
    for device in devices:
        device.wait_for_release("1.0")
    browser.see("alice", "approved wave 1", "taken back")
    browser.go("#/log")
    browser.see("alice", "approved wave 1", "taken back")
    events = web.operator.ask("rollout", "history", rollout)["events"]
    assert {event["who"] for event in events if event["what"].startswith(("approved", "taken back"))} == {"alice"}


def test_pausing_and_resuming_show_at_once_and_a_refusal_is_shown_in_the_brokers_words(web, browser):
    device = web.add_device("a")
    rollout = web.publish("1.0", options=("--wave", f"{device.id}:soak=4h"))
    web.add_device("b")
    browser.open(web.address)
    browser.login("alice", "secret")
    browser.go(f"#/rollout/{rollout}")
    browser.see("1 of 2 devices has committed", "the soak")
    act(browser, "Pause", "No further device begins")
    browser.see("An operator paused it")
    # Somebody else does something: it shows by itself.
    web.operator.ask("rollout", "resume", rollout)
    browser.see_no_more("An operator paused it")
    browser.press("Revert", "//main")
    browser.press("Revert", "//dialog")
    browser.see("The broker refuses it:", "revert")
    look(browser, "refusal-3")
    browser.press("Cancel")
    assert web.operator.rollout(rollout)["state"] == "active"


def test_a_lost_connection_is_said_and_mended(web, browser):
    device = web.add_device("a")
    rollout = web.publish("1.0")
    web.wait_for_counts(rollout, {"committed": 1})
    browser.open(web.address)
    browser.login("alice", "secret")
    browser.go(f"#/rollout/{rollout}")
    browser.see("1 of 1 device has committed")
    web.broker.kill()
    browser.see("Connection lost, trying again")
    look(browser, "lost-3")
    browser.press("Revert", "//main")
    browser.press("Revert", "//dialog")
    browser.see("nothing was sent")
    browser.press("Cancel")
    web.broker.start()
    browser.see_no_more("Connection lost")
    device.stop()
    browser.go(f"#/device/{device.id}")
    browser.see("not connected", "Sent to it")
    two = web.publish("2.0")
    browser.go(f"#/rollout/{two}")
    browser.see("waiting")
    device.start()
    browser.see("1 of 1 device has committed")


# --- who may, and with which keys of the keyboard -------------------------------------------------
def test_the_keyboard_is_enough(web, browser):
    device = web.add_device("a")
    rollout = web.publish("1.0", options=("--wave", f"{device.id}:soak=4h"))
    web.wait_for_counts(rollout, {"committed": 1})
    browser.open(web.address)
    browser.find("//input[@id='username']").click()
    browser.type("alice", "\ue004", "secret", "\ue007")  # tab, enter
    browser.see("Needs you")
    browser.driver.execute_script("document.activeElement.blur()")
    browser.type("\ue004")
    assert browser.focused() == "To the content"
    outline = browser.driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline not in ("none", ""), "where the focus is can be seen"
    browser.type("\ue007")
    wait_for("the focus is in the content", lambda: browser.driver.execute_script("return document.activeElement.id") == "main")
    browser.go(f"#/rollout/{rollout}")
    browser.see("Progress")
    browser.driver.execute_script("arguments[0].focus()", browser.find("//main//button[.='Pause']"))
    browser.type("\ue00d")  # space
    browser.see("No further device begins")
    assert browser.focused() == "Cancel", "what does nothing comes first"
    names = []
    for _ in range(4):
        browser.type("\ue004")
        names.append(browser.focused())
    assert names == ["Pause", "Cancel", "Pause", "Cancel"], "the question holds the focus"
    browser.type("\ue00c")  # escape
    wait_for("the question is gone", lambda: not browser.driver.find_elements("xpath", "//dialog"))
    assert browser.focused() == "Pause", "the focus is where it was"
    assert web.operator.rollout(rollout)["state"] == "active"


def test_a_wrong_password_and_a_broker_that_is_not_there_are_named(web, browser):
    browser.open(web.address)
    browser.write("User name", "alice")
    browser.write("Password", "wrong")
    browser.press("Log in")
    browser.see("the broker refused this login")
    look(browser, "wrong-password")
    browser.write("Broker", f"ws://127.0.0.1:{free_port()}")
    browser.press("Log in")
    browser.see("cannot reach ws://127.0.0.1")
    browser.write("Broker", "mqtt://127.0.0.1:1883")
    browser.press("Log in")
    browser.see("ws:// or wss:// only")
    stored = browser.driver.execute_script("return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert "wrong" not in stored and "alice" not in stored
    assert "Needs you" not in browser.text()


def test_the_page_may_come_from_elsewhere(web, browser):
    browser.open(f"{PAGE.as_uri()}?broker={web.address.replace('http', 'ws')}")
    browser.login("alice", "secret")
    browser.press("Devices", "//nav")
    browser.see("No devices known here")
    browser.press("Log out")
    browser.see("Log in")
    assert "No devices" not in browser.text()
    browser.open(f"{web.address}?broker=wss://another.example.org/")
    browser.see("your password goes to another.example.org")


def test_who_may_not_command_is_answered_with_that(tmp_path, keys, page_folder, browser):
    port = free_port()
    (tmp_path / "acl").write_text("topic readwrite other/#\n")
    lines = [f"acl_file {tmp_path / 'acl'}", *web_lines(page_folder, port)]
    with Site(tmp_path, keys, lines=lines, options={"acl_fallthrough": "defer"}):
        browser.open(f"http://127.0.0.1:{port}/")
        browser.press("Log in")
        browser.see("this user may not")


def test_a_broker_without_the_plugin_is_answered_with_that(tmp_path, keys, page_folder, browser):
    port = free_port()
    with Site(tmp_path, keys, plugin=False, lines=web_lines(page_folder, port)):
        browser.open(f"http://127.0.0.1:{port}/")
        browser.press("Log in")
        browser.see("Is the plugin mosquitto_instar.so loaded there")


# --- what devices say, and how many there are -----------------------------------------------------
MARKUP = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"


def test_what_devices_say_is_text(web, browser):
    forged = Hellos(web, "box-", groups=["plant"], degraded=[MARKUP], kernel=MARKUP[:60])
    forged.say(range(1))
    wait_for("the broker knows it", lambda: known(web) == 1)
    browser.open(f"{web.address}#/device/{forged.id(0)}")
    browser.login("alice", "secret", sees="Degraded")
    browser.see(MARKUP, MARKUP[:60])
    browser.go("#/device/%3Cimg%20src%3Dx%20onerror%3Ddocument.title%3D'taken'%3E")
    browser.see("<img src=x onerror=document.title='taken'>")
    assert browser.driver.find_elements("xpath", "//main//img") == []
    assert browser.driver.execute_script("return document.scripts.length") == 1


def known(site: Site) -> int:
    return site.operator.ask("devices", "list", "--limit", "1")["total"]


@pytest.fixture
def ten_thousand(web):
    """Of four plants, and a rollout to all of them whose first wave is stuck. Returns its id and the devices of each plant."""
    kinds = [("0", "line-a", "1.4.2", []), ("1", "line-a", "1.4.2", []), ("2", "line-b", "1.3.9", ["the clock is not set"]), ("3", "line-c", "", [])]
    plants = [Hellos(web, f"box-{name}-", groups=[f"plant-{name}/{line}"], running=release, degraded=degraded) for name, line, release, degraded in kinds]
    for plant in plants:
        plant.say(range(DEVICES // 4))
    wait_for("the broker knows them all", lambda: known(web) == DEVICES)
    first = ",".join(plants[0].id(number) for number in range(20))
    rollout = web.publish("2.0", groups=[f"plant-{name}" for name, *_ in kinds], options=("--wave", f"{first}:success=90%"))
    digits = web.operator.rollout(rollout)["manifest"]
    plants[0].report(range(12), digits, "committed")
    plants[0].report(range(12, 19), digits, "rolled_back", code=UNHEALTHY, reason="probe of container 'app' failed 3 times in a row: exit code 1: no answer on port 80")
    plants[0].report(range(19, 20), digits, "refused", code=NO_SPACE, reason="needs 5 MB, has 3 MB")
    wait_for("the first wave is stuck", lambda: web.operator.rollout(rollout)["state"] == "paused")
    return rollout, plants


def test_ten_thousand_devices_are_paged(web, browser, ten_thousand):
    rollout, plants = ten_thousand
    browser.open(web.address)
    loaded_ms = browser.driver.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    began = time.monotonic()
    browser.login("alice", "secret")
    SHOTS.mkdir(parents=True, exist_ok=True)
    (SHOTS / "load.json").write_text(json.dumps({"devices": DEVICES, "page_loaded_ms": round(loaded_ms), "login_until_fleet_ms": round(1000 * (time.monotonic() - began)),
                                                 "page_bytes_compressed": len(gzip.compress(PAGE.read_bytes(), 9))}) + "\n")
    browser.see(f"{DEVICES:,}", "2,500 devices degraded", "test-box 2.0 is paused in wave 1 of 2", "no answer on port 80")
    look_at_all(browser, "10000", views_of(rollout, plants[0].id(15)))
    browser.go("#/devices")
    browser.see(f"{DEVICES:,} devices", plants[0].id(0))
    rows = "return document.querySelectorAll('.rows .row').length"
    assert browser.driver.execute_script(rows) < 100, "only the rows in sight exist"
    browser.driver.execute_script("const box = document.querySelector('.scroll'); box.scrollTop = box.scrollHeight")
    browser.see(plants[3].id(2499))
    assert browser.driver.execute_script(rows) < 100
    browser.write("A part of the device's name", "-1-02498")
    browser.see("1 device", plants[1].id(2498))
    browser.write("A part of the device's name", "")
    browser.press("Degraded", "//main")
    browser.see("2,500 devices", plants[2].id(0))
    browser.press(plants[2].id(0))
    browser.see("the clock is not set", "plant-2/line-b")
    # Of the rollout's ten thousand those that did not take it.
    browser.go(f"#/rollout/{rollout}")
    browser.see("Not taken 8", plants[0].id(12), plants[0].id(19), "no_space")
    assert plants[0].id(0) not in browser.text()
    browser.press("Committed", "//section[h2='Devices']")
    browser.see(plants[0].id(0))
    browser.press("Waiting", "//section[h2='Devices']")
    browser.see("Waiting 9,980", plants[0].id(20))

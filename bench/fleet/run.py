#!/usr/bin/env python3
"""What a fleet costs its broker: 10,000 devices take a delta of about 1 MB over real connections, 5 % fail, 20 % are away at a time.

Beside it: the same broker without the plugin under the same connections, reports a second made durable against what the bare broker routes, the
latency of an unrelated topic with and without the plugin and with a slow disk, how many messages start a wave for 10 and for 10,000 devices, and
what the flags that harden the plugin cost of a report.
Only ratios within one run are worth reading. Writes build/report/fleet.json.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import report_path  # noqa: E402
from harness.broker import Broker  # noqa: E402
from harness.fleet import FLEET, Fleet, FleetRelease  # noqa: E402
from harness.operator import Keys  # noqa: E402
from harness.process import BUILD, SOURCE, wait_for  # noqa: E402
from harness.site import Site  # noqa: E402

# A bare broker must not drop what its one subscriber is behind with.
PATIENT = ["max_queued_messages 100000", "max_inflight_messages 1000"]
SLOW_FSYNC = BUILD / "bench/slow_fsync.so"


def cpu_s(broker: Broker) -> float:
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{broker.process.pid}/task").iterdir()) / 1e9


def pss_kib(broker: Broker) -> int:
    for line in Path(f"/proc/{broker.process.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def disk_kib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1024


def tool(port: int, *arguments: object, background: bool = False, timeout: int = 120):
    command = [str(FLEET), "--port", str(port), "--timeout", str(timeout), *map(str, arguments)]
    if background:
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=timeout + 60)
    assert done.returncode == 0, command
    return json.loads(done.stdout)


def latency(port: int, seconds: float, background: bool = False):
    return tool(port, "latency", "--seconds", seconds, "--rate", 500, background=background)


def result(child) -> dict:
    out, _ = child.communicate(timeout=1000)
    assert child.returncode == 0
    return json.loads(out)


def site_at(folder: Path, keys: Keys, **options: str) -> Site:
    # A fleet that logs in without names comes from one address, and none of its devices has taken part in anything yet.
    options = {"transfer_log": "", "unknown_devices_max_per_login": "200000", **options}
    return Site(folder, keys, lines=PATIENT, quiet=True, options=options)


# --- the rollout ---------------------------------------------------------------------------------------------------
def connecting(folder: Path, keys: Keys, devices: int) -> dict:
    """The minute in which the same fleet connects to a broker without the plugin: latency of an unrelated topic, and the broker's CPU."""
    with site_at(folder, keys) as site:
        release = FleetRelease(site, changed_bytes=20_000)
        site.broker.plugin = False
        site.broker.restart()
        cpu = cpu_s(site.broker)
        fleet = Fleet(release, devices, "0" * 16, timeout=80).start()
        unrelated = latency(site.broker.port, 60)
        cpu = cpu_s(site.broker) - cpu
        fleet.wait(200)
        return {"unrelated": unrelated, "broker_cpu_s": cpu}


def rollout(folder: Path, keys: Keys, devices: int, changed_bytes: int) -> dict:
    bare = connecting(folder / "bare", keys, devices)
    with site_at(folder / "plugin", keys) as site:
        empty = pss_kib(site.broker)
        release = FleetRelease(site, changed_bytes=changed_bytes)
        # Nobody is there yet: what the release itself costs is counted apart from the devices.
        waves = ["--wave", "2%:success=50%,quorum=1%", "--wave", "30%:success=50%,quorum=1%", "--in-flight", "500"]
        rollout_id = release.publish(*waves)
        before, disk_before = pss_kib(site.broker), disk_kib(site.folder / "broker/store")
        began, cpu = time.monotonic(), cpu_s(site.broker)
        fleet = Fleet(release, devices, rollout_id, fail_percent=5, offline_percent=20, timeout=1800).start()
        unrelated = latency(site.broker.port, 60)
        cpu_connecting = cpu_s(site.broker) - cpu
        later = latency(site.broker.port, 120)
        outcome = fleet.wait(2000)
        seconds = time.monotonic() - began
        status = site.operator.rollout(rollout_id)
        time.sleep(30)  # within which counted bytes are saved
        return {
            "devices": devices, "seconds": seconds, "done": outcome["done"], "committed": status["counts"]["committed"],
            "rolled_back": status["counts"]["rolled_back"], "gates_a_wave": 1 if outcome["gates"] else 0,
            "bytes_a_device": outcome["chunk_bytes"] / devices, "bytes_full_a_device": status["bytes_full"] / devices,
            "reports": outcome["reports"], "acks": outcome["acks"], "broker_cpu_s": cpu_s(site.broker) - cpu,
            "broker_cpu_ms_a_device": (cpu_s(site.broker) - cpu) * 1000 / devices,
            "broker_kib": pss_kib(site.broker), "broker_empty_kib": empty, "broker_kib_a_device": (pss_kib(site.broker) - before) / devices,
            "disk_kib_a_device": (disk_kib(site.folder / "broker/store") - disk_before) / devices,
            "unrelated": {"connecting": unrelated, "connecting_bare": bare["unrelated"], "later": later},
            "connecting_cpu_s": cpu_connecting, "connecting_cpu_s_bare": bare["broker_cpu_s"],
        }


def memory(folder: Path, keys: Keys, devices: int) -> dict:
    """Devices that are connected, and known from a rollout that all of them took, on a broker that has been started since: above what the same
    connections, subscriptions and sessions (restored from disk in both) take of a broker without the plugin. `after_rollout`: the same broker
    process that saw the rollout."""
    kib, after = {}, 0.0
    for name in ("plugin", "bare"):
        with site_at(folder / name, keys) as site:
            release = FleetRelease(site, changed_bytes=20_000)
            rollout_id = release.publish()
            site.broker.plugin = name == "plugin"
            site.broker.restart()
            empty = pss_kib(site.broker)
            if name == "plugin":
                Fleet(release, devices, rollout_id, timeout=900).start().wait(1000)
                after = (pss_kib(site.broker) - empty) / devices
            else:
                Fleet(release, devices, "0" * 16, timeout=45).start().wait(200)
            site.broker.restart()
            fleet = Fleet(release, devices, "0" * 16, timeout=45).start()
            time.sleep(35)
            kib[name] = (pss_kib(site.broker) - empty) / devices
            fleet.wait(200)
    return {"devices": devices, "plugin_kib": kib["plugin"], "bare_kib": kib["bare"], "above_kib": kib["plugin"] - kib["bare"],
            "after_rollout_kib": after}


def gates_to_start(folder: Path, keys: Keys, devices: int) -> int:
    """Messages that the broker takes in to start a wave: gates published, whatever the number of devices."""
    with site_at(folder, keys) as site:
        release = FleetRelease(site, changed_bytes=20_000)
        rollout_id = release.publish("--wave", "1:approval,quorum=0%,success=0%")
        fleet = Fleet(release, devices, rollout_id, timeout=300).start()
        wait_for("all devices are known", lambda: site.operator.rollout(rollout_id)["devices"] == devices, 120, 0.5)
        time.sleep(5)
        watcher = site.broker.client("watcher")
        watcher.subscribe("instar/v1/manifest/#", "instar/v1/gate/#")
        watcher.drain()  # what is retained
        site.operator.ask("rollout", "approve", rollout_id)
        count = 0
        while packet := watcher.next_message(3):
            count += "/gate/" in packet.topic
        fleet.stop()
        return count


# --- reports -------------------------------------------------------------------------------------------------------
def throughput(folder: Path, keys: Keys, devices: int, reports: int, rounds: int) -> dict:
    """In turns, since a machine's speed drifts; of each the median."""
    seen = {"bare": [], "connection": [], "signature": []}
    arguments = ["--devices", devices, "--reports", reports, "--product", "test-box", "--group", "test/line"]
    for number in range(rounds):
        with Broker(folder / f"bare-{number}", plugin=False, lines=PATIENT, quiet=True) as broker:
            seen["bare"].append(tool(broker.port, "reports", *arguments, "--bare"))
        for trust in ("connection", "signature"):
            with site_at(folder / f"{trust}-{number}", keys, report_trust=trust) as site:
                FleetRelease(site, changed_bytes=20_000).publish()
                manifest = site.operator.ask("rollout", "show", "2.0")["manifest"]
                seen[trust].append(tool(site.broker.port, "reports", *arguments, "--rollout", manifest))
    assert all(row["reports"] == row["asked"] for row in sum(seen.values(), [])), seen
    rows = {name: {"per_second": median(row["per_second"] for row in rows), "rounds": [round(row["per_second"]) for row in rows]}
            for name, rows in seen.items()}
    for row in rows.values():
        row["ratio"] = row["per_second"] / rows["bare"]["per_second"]
    return rows


def slow_disk(folder: Path, keys: Keys, devices: int, rounds: int) -> dict:
    """An unrelated topic while reports come in, and each fsync takes 5 ms: at a rate that all keep up with, and at whatever each can do."""
    common = ["--devices", devices, "--product", "test-box", "--group", "test/line", "--rollout", "11" * 32]
    loads = {"offered": ["--reports", 150, "--per-second", 5_000], "saturated": ["--reports", 400]}
    seen = {load: {"bare": [], "connection": [], "signature": []} for load in loads}
    os.environ["INSTAR_FSYNC_US"] = "5000"
    for number, (load, arguments), name in itertools.product(range(rounds), loads.items(), ("bare", "connection", "signature")):
        options = {"transfer_log": ""} if name == "bare" else {"transfer_log": "", "report_trust": name}
        with Site(folder / load / name / str(number), keys, lines=PATIENT, quiet=True, options=options, plugin=name != "bare") as site:
            site.broker.stop()
            os.environ["LD_PRELOAD"] = str(SLOW_FSYNC)
            try:
                site.broker.start()
            finally:
                del os.environ["LD_PRELOAD"]
            sent = tool(site.broker.port, "reports", *common, *arguments, *(["--bare"] if name == "bare" else []), background=True)
            time.sleep(2)  # they are being signed
            clock = latency(site.broker.port, 4, background=True)
            seen[load][name].append(result(clock) | {"reports_per_second": result(sent)["per_second"]})
    del os.environ["INSTAR_FSYNC_US"]
    rows = {load: {name: {key: median(row[key] for row in of) for key in of[0]} for name, of in names.items()} for load, names in seen.items()}
    for names in rows.values():
        for row in names.values():
            row["p99_ratio"] = row["p99_ms"] / names["bare"]["p99_ms"]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--changed-bytes", type=int, default=1_000_000)
    parser.add_argument("--only", default="throughput,hardening,slow_disk,gates,memory,rollout")
    options = parser.parse_args()
    report = SOURCE / "build/report/fleet.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(report.read_text()) if report.exists() else {}
    with tempfile.TemporaryDirectory(prefix="instar-fleet-") as scratch:
        folder = Path(scratch)
        keys = Keys(folder / "keys")
        steps = {
            "throughput": lambda at: throughput(at, keys, 200, 300, 5),
            "hardening": lambda at: report_path.measure(at, 15),
            "slow_disk": lambda at: slow_disk(at, keys, 200, 5),
            "gates": lambda at: {str(count): gates_to_start(at / str(count), keys, count) for count in (10, 100, min(options.devices, 10_000))},
            "memory": lambda at: memory(at, keys, options.devices),
            "rollout": lambda at: rollout(at, keys, options.devices, options.changed_bytes),
        }
        for name in options.only.split(","):
            results[name] = steps[name](folder / name)
            print(json.dumps({name: results[name]}, indent=1), flush=True)
            report.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

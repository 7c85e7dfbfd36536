"""Instar as one of the ways: the real client, broker, plugin and operator; the release is published while the client is connected."""

import json
import subprocess
import time
from pathlib import Path

import service
from box import SERVER, Box, Cut, Failed, memory_of
from footprint import Programs
from harness.device import Device
from harness.operator import Keys
from harness.process import BUILD, DEVICE, LXC_HELPER, free_port
from harness.site import Site, sent_twice
from updater import Job, Updater

STATIC = BUILD / "device-client/instar-device-static"


class BoxedDevice(Device):
    """The client in the box; its containers are in control groups beside it."""

    def __init__(self, box: Box, program: Path, environment: dict[str, str], *arguments, **options):
        super().__init__(*arguments, **options)
        self.box, self.program, self.environment = box, program, environment

    def start(self, environment: dict[str, str] | None = None) -> "BoxedDevice":
        self.config.write_text("".join(f"{key} = {value}\n" for key, value in self.settings.items()))
        self.box.spawn(self.program, "run", "--config", self.config, env=self.environment)
        return self

    def clean_up(self) -> None:
        """Ends the client and its containers: LXC's monitors answer in the network that they were started in."""
        self.box.kill()
        for name in self.containers():
            subprocess.run(self.box.command("lxc-stop", "-P", self.lxc_path, "-n", name, "-k"), capture_output=True, timeout=30)
        super().clean_up()

    def log_text(self) -> str:
        return self.box.log.read_text(errors="replace")


class Instar(Updater):
    packages: list[str] = []
    checks = "an Ed25519 signature over the manifest, thresholds of keys, sequence, expiry, each chunk by its hash"
    room, reboot = "the files that change", "no"
    commands = ["instar publish 2.0.release.json --broker …"]

    def __init__(self, tls: bool):
        self.tls = tls
        self.name = "instar, TLS" if tls else "instar"
        self.what = ("the client in one file; a delta over MQTT" + (" with TLS" if tls else "") +
                     "; staged, tried in a container and committed, which the others do not do")
        self.programs = [str(STATIC), str(LXC_HELPER)]
        self._sites: dict[Box, tuple[Site, BoxedDevice, str]] = {}

    def version(self) -> str:
        return subprocess.run([str(DEVICE if DEVICE.exists() else STATIC), "version"], capture_output=True, text=True).stdout.strip()

    def install(self, programs: Programs) -> None:
        for path in self.programs:
            programs.add(Path(path), "run `make build`")

    def serve(self, job: Job) -> None:
        self.keys = Keys(job.work / "keys")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                        f"/CN={SERVER}", "-addext", f"subjectAltName=IP:{SERVER}", "-keyout", job.work / "server.key", "-out",
                        job.work / "server.pem"], check=True, capture_output=True)

    def provision(self, job: Job, box: Box) -> None:
        port = free_port()
        lines = [f"listener {port} {SERVER}"]
        settings: dict = {"server": f"{'ssl' if self.tls else 'tcp'}://{SERVER}:{port}", "lxc_helper": job.bin.folder / "bin/instar-lxc"}
        if self.tls:
            lines += [f"certfile {job.work}/server.pem", f"keyfile {job.work}/server.key"]
            settings["ca_file"] = job.work / "server.pem"
        site = Site(box.folder / "site", self.keys, lines=lines, quiet=True)
        site.__enter__()
        device = BoxedDevice(box, job.bin.folder / "bin" / STATIC.name, job.bin.environment(), box.folder / "client", f"box-{site.mark}", port,
                             self.keys.root, state_dir=box.place / "state", settings=settings)
        site.devices.append(device)
        self._sites[box] = (site, device, "")
        device.start()
        self._publish(box, job.old, "1.0")
        self._wait(box)
        # The peak is to be that of the update alone.
        box.kill()
        connected = device.log_text().count("connected to")
        device.start()
        until = time.monotonic() + 30
        while device.log_text().count("connected to") <= connected:
            if time.monotonic() > until:
                raise Failed(f"the client did not connect again: {box.tail()}")
            time.sleep(0.05)
        time.sleep(1)
        self._sites[box] = (site, device, "")

    def _publish(self, box: Box, tree: Path, release: str) -> None:
        site, device, _ = self._sites[box]
        artifact = site.operator.pack(tree)
        rollout = site.operator.publish(release, tree, containers=service.containers(artifact))["rollout"]
        self._sites[box] = (site, device, rollout)

    def _wait(self, box: Box) -> None:
        site, device, rollout = self._sites[box]
        until = time.monotonic() + 180
        while (counts := site.counts(rollout)) != {"committed": 1}:
            if box.was_cut:
                raise Cut
            if time.monotonic() > until:
                raise Failed(f"{device.id} did not commit within 180 s, the broker counts {counts}: {box.tail()}")
            time.sleep(0.05)

    def update(self, job: Job, box: Box) -> None:
        site, device, rollout = self._sites[box]
        if rollout:
            device.start()
        else:
            self._publish(box, job.new, "2.0")
        self._wait(box)

    def result(self, job: Job, box: Box) -> Path:
        """The folder that the container of the running revision sees."""
        _, device, _ = self._sites[box]
        status = subprocess.run([str(device.program), "status", "--json", "--config", str(device.config)], capture_output=True, text=True,
                                env=device.environment)
        running = json.loads(status.stdout)["running"]
        if running["release"] != "2.0":
            raise Failed(f"{device.id} runs {running['release']}, not 2.0: {box.tail()}")
        return next((device.state_dir / f"revisions/{running['revision']}/artifacts").glob("*/tree"))

    def idle_pss_kib(self, job: Job, box: Box) -> int | None:
        return box.idle_pss_kib(2)

    def more(self, box: Box) -> dict:
        """The pack, bytes sent twice by the plugin's own log, and LXC's monitor, which stays with each container."""
        site, device, rollout = self._sites[box]
        row = site.operator.ask("rollout", "show", rollout, "--devices")["members"][0]
        time.sleep(1)
        monitors = subprocess.run(["pgrep", "-f", rf"^\[lxc monitor\] {device.lxc_path} "], capture_output=True, text=True).stdout.split()
        return {"pack": row["pack_kind"], "pack_bytes": row["bytes_fetched"], "sent_twice_bytes": sum(sent_twice(site.broker.transfers()).values()),
                "container_monitor_pss_kib": memory_of([int(pid) for pid in monitors]).pss}

    def close(self, box: Box) -> None:
        if box in self._sites:
            site, _, _ = self._sites.pop(box)
            site.__exit__()

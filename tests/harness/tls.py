"""Certificates for tests, made with openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = """\
[ca]
default_ca = d
[d]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = p
unique_subject = no
copy_extensions = copy
[p]
commonName = supplied
"""


@dataclass(frozen=True)
class Certificate:
    file: Path
    key: Path

    @property
    def listener(self) -> list[str]:
        """Lines of mosquitto.conf for a listener that shows it."""
        return [f"certfile {self.file}", f"keyfile {self.key}"]


def openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """A CA with a folder of its own."""

    def __init__(self, folder: Path, name: str):
        self.folder, self.name = folder, name
        folder.mkdir(parents=True)
        self.file = folder / "ca.pem"
        (folder / "index.txt").write_text("")
        (folder / "serial").write_text("1000\n")
        (folder / "ca.cnf").write_text(CONFIGURATION.format(folder=folder))
        openssl("req", "-x509", *KEY, "-keyout", folder / "ca.key", "-out", self.file, "-days", 3650, "-subj", f"/CN={name}")

    def certificate(self, name: str, names: str = "DNS:localhost,IP:127.0.0.1", *, begins: str = "20240101000000Z",
                    ends: str = "20490101000000Z") -> Certificate:
        """For the `names` (subjectAltName), valid in that time."""
        made = Certificate(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request = self.folder / f"{name}.csr"
        openssl("req", *KEY, "-keyout", made.key, "-out", request, "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}")
        openssl("ca", "-batch", "-notext", "-config", self.folder / "ca.cnf", "-cert", self.file, "-keyfile", self.folder / "ca.key",
                "-in", request, "-out", made.file, "-startdate", begins, "-enddate", ends)
        return made


def self_signed(folder: Path, name: str = "localhost") -> Certificate:
    made = Certificate(folder / f"{name}-self.pem", folder / f"{name}-self.key")
    openssl("req", "-x509", *KEY, "-keyout", made.key, "-out", made.file, "-days", 3650, "-subj", f"/CN={name}", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1")
    return made

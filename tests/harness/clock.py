"""A wall clock that is wrong, of the programs that a test wants it for."""

import calendar
import struct
import time
from pathlib import Path

from .process import BUILD

SHIM = BUILD / "tests/integration/libinstar_shift_clock.so"
DAY_S = 86_400
YEAR_S = 365 * DAY_S


class WrongClock:
    """Programs that are started with `environment` see the machine's clock off by some seconds; set() moves it while they run, as people and
    time services do. Their monotonic clocks are right."""

    def __init__(self, file: Path, off_s: float = 0):
        self.file = file
        self.set(off_s)
        self.environment = {"LD_PRELOAD": str(SHIM), "INSTAR_CLOCK_FILE": str(file)}

    def set(self, off_s: float) -> None:
        # In place: programs have mapped it.
        with self.file.open("r+b" if self.file.exists() else "w+b") as file:
            file.write(struct.pack("=q", int(off_s * 1000)))

    def set_to(self, when: str) -> None:
        """As "1970-01-02", UTC."""
        self.set(calendar.timegm(time.strptime(when, "%Y-%m-%d")) - time.time())

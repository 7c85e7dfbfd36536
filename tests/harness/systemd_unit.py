"""A systemd unit without systemd: what its directives do to the process that they start, and so to everything that this starts.

    python3 -P systemd_unit.py UNIT PROGRAM ARGUMENT…

runs a program as the unit would: with its mask, its place in the queue of the out-of-memory killer, SIGPIPE ignored, the filters of system calls
that its directives are, and its limits of rights. A directive that is not known here ends it: a test must not pass because something was left out.
"""

import contextlib
import ctypes
import errno
import os
import platform
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

# Directives that systemd carries out by a filter of system calls (seccomp), which every process that is started from then on inherits: those
# that context_has_seccomp() of systemd 252 asks for (src/core/execute.c), by their names in units (src/core/load-fragment-gperf.gperf.in).
FILTERS = {
    "LockPersonality", "MemoryDenyWriteExecute", "PrivateDevices", "ProtectClock", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules",
    "ProtectKernelTunables", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures",
    "SystemCallErrorNumber", "SystemCallFilter", "SystemCallLog",
    # This one brings some of them along (unit_patch_contexts() in src/core/unit.c).
    "DynamicUser",
}
# What else every process inherits and no container can take back: rights that are gone, and programs that get none by being run.
RIGHTS = {"NoNewPrivileges", "CapabilityBoundingSet", "SecureBits", "Personality", "RestrictFileSystems"}

# What does nothing to the process itself, or nothing that containers could notice.
HARMLESS = {"Type", "ExecStart", "WatchdogSec", "NotifyAccess", "Restart", "RestartSec", "KillMode", "Delegate", "TimeoutStopSec"}


@dataclass
class Directive:
    line: int
    key: str
    value: str

    @property
    def is_on(self) -> bool:
        """A directive with no value takes back what was said before; a boolean one may say no."""
        return self.value.lower() not in ("", "no", "false", "off", "0")


def service_directives(text: str) -> list[Directive]:
    """Those of the section [Service], in order, with continued lines joined."""
    found, section, pending, begun = [], "", "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*[#;]", line):
            continue
        pending, begun = (pending + " " + line.strip(), begun) if pending else (line.strip(), number)
        if pending.endswith("\\"):
            pending = pending[:-1].rstrip()
            continue
        line, pending = pending, ""
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and section == "Service":
            key, value = (part.strip() for part in line.split("=", 1))
            found.append(Directive(begun, key, value))
    return found


def inherited_by_containers(text: str) -> list[str]:
    """The directives of a unit that bind the containers as well."""
    return [f"line {each.line}: {each.key}={each.value} is a filter of system calls, and containers inherit it" if each.key in FILTERS
            else f"line {each.line}: {each.key}={each.value} takes something from every container"
            for each in service_directives(text) if each.key in FILTERS | RIGHTS and each.is_on]


# --- what it does to a process -------------------------------------------------------------------
class Argument(ctypes.Structure):
    """struct scmp_arg_cmp of libseccomp"""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


ALLOW, NOT_EQUAL, EQUAL, MASKED = 0x7FFF0000, 1, 4, 7
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000


class Filter:
    """Says EPERM to some calls and lets all others pass, by libseccomp, which LXC needs anyway."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libseccomp.so.2")
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(ALLOW))

    def deny(self, call: str, *arguments: tuple[int, int, int, int]) -> None:
        number = self.library.seccomp_syscall_resolve_name(call.encode())
        array = (Argument * max(len(arguments), 1))(*(Argument(*each) for each in arguments))
        code = self.library.seccomp_rule_add_array(self.context, 0x00050000 | errno.EPERM, number, len(arguments), array)
        # A call that this processor does not have needs no rule.
        if code not in (0, -errno.EDOM):
            raise OSError(-code, f"no filter for {call}")

    def load(self) -> None:
        code = self.library.seccomp_load(self.context)
        if code != 0:
            raise OSError(-code, "the filter cannot be loaded")


def deny_write_execute(to: Filter) -> None:
    """seccomp_memory_deny_write_execute() of systemd: nothing becomes executable that was or is writable."""
    both, execute = PROT_WRITE | PROT_EXEC, PROT_EXEC
    to.deny("mmap", (2, MASKED, both, both))
    for call in ("mprotect", "pkey_mprotect"):
        to.deny(call, (2, MASKED, execute, execute))
    to.deny("shmat", (2, MASKED, SHM_EXEC, SHM_EXEC))


def restrict_realtime(to: Filter) -> None:
    for policy in (1, 2, 6):  # SCHED_FIFO, SCHED_RR, SCHED_DEADLINE
        to.deny("sched_setscheduler", (1, EQUAL, policy, 0))


def lock_personality(to: Filter) -> None:
    to.deny("personality", (0, NOT_EQUAL, 0, 0))


TRANSLATED = {"MemoryDenyWriteExecute": deny_write_execute, "RestrictRealtime": restrict_realtime, "LockPersonality": lock_personality,
              "ProtectKernelLogs": lambda to: to.deny("syslog")}

KNOWN = HARMLESS | TRANSLATED.keys() | {"UMask", "OOMScoreAdjust", "IgnoreSIGPIPE", "NoNewPrivileges"}


def apply(text: str) -> None:
    """Makes this process one of the unit. SystemExit names a directive that is not known here."""
    directives = service_directives(text)
    unknown = [f"{each.key} (line {each.line})" for each in directives if each.key not in KNOWN]
    if unknown:
        raise SystemExit(f"what {', '.join(unknown)} does to a process is not known here: add it to {Path(__file__).name}")
    values = {each.key: each for each in directives}
    if "UMask" in values:
        os.umask(int(values["UMask"].value, 8))
    if "OOMScoreAdjust" in values:
        with contextlib.suppress(PermissionError):  # systemd too goes on without where it may not
            Path("/proc/self/oom_score_adj").write_text(values["OOMScoreAdjust"].value)
    if "IgnoreSIGPIPE" not in values or values["IgnoreSIGPIPE"].is_on:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    libc = ctypes.CDLL(None, use_errno=True)
    if "NoNewPrivileges" in values and values["NoNewPrivileges"].is_on and libc.prctl(38, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    # systemd loads one filter for each directive. It asks for no_new_privs only where the process has no CAP_SYS_ADMIN; libseccomp always
    # would, so it is switched off below.
    for each in directives:
        if each.key in TRANSLATED and each.is_on:
            made = Filter()
            made.library.seccomp_attr_set(made.context, 3, 0)  # SCMP_FLTATR_CTL_NNP
            TRANSLATED[each.key](made)
            made.load()


def launcher(folder: Path, text: str, program: Path) -> Path:
    """A program that is `program` under the unit `text`: a script in `folder`, which becomes it."""
    folder.mkdir(parents=True, exist_ok=True)
    unit, script = folder / "unit.service", folder / "under-the-unit"
    unit.write_text(text)
    script.write_text(f'#!/bin/sh\n[ "$1" = run ] || exec {program} "$@"\nexec {sys.executable} -P -B {Path(__file__).resolve()} {unit} {program} "$@"\n')
    script.chmod(0o755)
    return script


if __name__ == "__main__":
    if platform.system() != "Linux" or len(sys.argv) < 3:
        raise SystemExit(__doc__)
    apply(Path(sys.argv[1]).read_text())
    os.execv(sys.argv[2], sys.argv[2:])

"""The service as a unit: systemd.service(5), systemd.exec(5)."""

from __future__ import annotations

import os
import sys
import time

from netlab.deploy.there.commands import command
from netlab.deploy.there.files import remove, write_whole
from netlab.deploy.there.kernel import wait_until
from netlab.deploy.there.problems import ProblemError
from netlab.deploy.there.releases import SUPERVISOR, Store
from netlab.deploy.there.service import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


UNIT = "netlab-hftp.service"
NO_SYSTEMD = "systemd does not run"


# What a service that reads one directory and listens does not need. The first works everywhere; the second
# needs namespaces (for a user's manager those of users, which some kernels forbid); the third drops
# capabilities, which a user's manager may not (systemd 252), and one in a container seldom.
ALWAYS = ("NoNewPrivileges=yes", "RestrictSUIDSGID=yes", "LockPersonality=yes", "UMask=0077")
SANDBOX = (
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "SystemCallArchitectures=native",
)
DROPPING = ("PrivateDevices=yes", "ProtectKernelModules=yes")
# For the system's manager only: a user's has no capabilities to give up.
CAPABILITIES = ("CapabilityBoundingSet=CAP_NET_BIND_SERVICE",)
HARDENINGS = ((*ALWAYS, *SANDBOX, *DROPPING), (*ALWAYS, *SANDBOX), ALWAYS)
# EXIT_NAMESPACE and EXIT_CAPABILITIES of systemd.exec(5), "Process exit codes".
NO_SANDBOX_CODES = ("218", "226")


def unit_text(python: str, base: str, hardening: tuple[str, ...], *, system: bool) -> str:
    """Return the unit."""
    words = " ".join(
        unit_word(word) for word in (python, "-I", "-S", base + "/current/" + SUPERVISOR, "run", base)
    )
    lines = "\n".join([*hardening, *(CAPABILITIES if system else ())])
    return f"""# Written by `netlab deploy`, which replaces it.
[Unit]
Description=HFTP server, deployed by netlab
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={words}
Restart=on-failure
RestartSec=0.2
TimeoutStopSec=10
{lines}

[Install]
WantedBy={"multi-user.target" if system else "default.target"}
"""


def unit_word(word: str) -> str:
    """Quote a word of ExecStart (systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting")."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(plain, escaped)
    return f'"{word}"'


class Systemd(Service):
    """The service as a unit: of the account's own manager, or of the system's where the account is root.

    Args:
        store: the releases.
    """

    method = "systemd"

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._system = os.geteuid() == 0
        if not self._system:
            os.environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
            self._bus = f"unix:path={os.environ['XDG_RUNTIME_DIR']}/bus"
            os.environ.setdefault("DBUS_SESSION_BUS_ADDRESS", self._bus)

    @classmethod
    def why_not(cls) -> str:
        """Return why there is no such service here; empty if there is.

        Source: sd_booted(3). A user's manager outlives the last login only where the account lingers
        (loginctl(1)).
        """
        if not os.path.isdir("/run/systemd/system"):
            return NO_SYSTEMD
        if os.geteuid() == 0:
            return ""
        user = account_name()
        if not os.path.exists(f"/var/lib/systemd/linger/{user}"):
            code, _, err = command(["loginctl", "enable-linger"])
            if code or not os.path.exists(f"/var/lib/systemd/linger/{user}"):
                return f"the account may not linger: {err.strip() or 'loginctl enable-linger'}"
        manager = f"/run/user/{os.getuid()}/systemd"
        return "" if wait_until(lambda: os.path.isdir(manager), 5.0) else "the account has no manager"

    def _control(self, *words: str) -> tuple[int, str, str]:
        return command(["systemctl", *(() if self._system else ("--user",)), *words])

    def _unit_path(self) -> str:
        if self._system:
            return f"/etc/systemd/system/{UNIT}"
        named = os.environ.get("XDG_CONFIG_HOME", "")
        config = named if os.path.isabs(named) else os.path.join(os.path.expanduser("~"), ".config")
        return os.path.join(config, "systemd", "user", UNIT)

    def _show(self) -> dict[str, str]:
        wanted = "MainPID,ExecMainStartTimestamp,NRestarts,ExecMainStatus,Result,ActiveState"
        _, out, _ = self._control("show", UNIT, "--property", wanted)
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def pid(self) -> int:
        """Return the server's process; 0 if none runs."""
        return int(self._show().get("MainPID") or 0)

    def restarts(self) -> int:
        """Return how often it ended by itself."""
        return int(self._show().get("NRestarts") or 0)

    def ended(self) -> str:
        """Return how it ended last."""
        shown = self._show()
        return f"{shown.get('Result', '')}, status {shown.get('ExecMainStatus', '')}"

    def start(self) -> None:
        """Start the current release; with a lighter sandbox where the kernel refuses the full one.

        Raises:
            ProblemError: it can't be started.
        """
        for hardening in HARDENINGS:
            text = unit_text(sys.executable, self._store.base, hardening, system=self._system)
            os.makedirs(os.path.dirname(self._unit_path()), exist_ok=True)
            write_whole(self._unit_path(), text.encode(), 0o644)
            # What systemd would start again by itself is not to come in between.
            for words in (("stop", UNIT), ("daemon-reload",), ("reset-failed", UNIT), ("enable", UNIT)):
                self._control(*words)
            code, _, err = self._control("start", UNIT)
            time.sleep(0.1)
            if self._show().get("ExecMainStatus") in NO_SANDBOX_CODES and hardening is not ALWAYS:
                continue
            if code:
                raise ProblemError(f"systemctl start {UNIT}: {' '.join(err.split())}")
            return

    def stop(self) -> None:
        """End the server."""
        self._control("stop", UNIT)

    def disable(self) -> None:
        """Remove the unit."""
        self._control("disable", UNIT)
        remove(self._unit_path())
        self._control("daemon-reload")

    def log(self, lines: int, cursor: str) -> Json:
        """Return the last lines of the journal, or what came after a cursor (journalctl(1))."""
        unit = f"--unit={UNIT}" if self._system else f"--user-unit={UNIT}"
        since = [f"--after-cursor={cursor}"] if cursor else [f"--lines={lines}"]
        code, out, err = command(
            ["journalctl", unit, "--output=short-iso", "--show-cursor", "--quiet", *since]
        )
        if code:
            raise ProblemError(
                f"journalctl: {' '.join(err.split())} (the group systemd-journal may read all)"
            )
        text, mark, last = out.rpartition("-- cursor: ")
        return {"text": text if mark else out, "cursor": last.strip() if mark else cursor}


def account_name() -> str:
    """Return the account's name; its number where it has none."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())

"""cron: crontab(1), crontab(5)."""

from __future__ import annotations

import re
import shutil

from netlab.deploy.there.commands import command

CRON_MARK = "# netlab deploy"


def reboot_line(python: str, script: str, base: str) -> str:
    """Return the crontab line that starts the supervisor with the host.

    cron gives the line to a shell, and takes a bare % for the end of it (crontab(5)).
    """
    words = " ".join(quoted(word) for word in (python, "-I", "-S", script, "start", base))
    return f"@reboot {words}".replace("%", "\\%") + f" {CRON_MARK}"


def quoted(word: str) -> str:
    """Quote a word for the shell: what is not harmless, in single quotes (shlex.quote)."""
    if re.fullmatch(r"[a-zA-Z0-9@_+=:,./-]+", word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def read_crontab() -> list[str] | None:
    """Return the account's lines; None where it can't have any."""
    if not shutil.which("crontab"):
        return None
    code, out, err = command(["crontab", "-l"])
    if code and "no crontab" not in err:
        return None
    return out.splitlines() if not code else []


def write_crontab(lines: list[str]) -> str:
    """Write the account's lines; return what went wrong."""
    code, _, err = command(["crontab", "-"], "".join(line + "\n" for line in lines))
    return f"it will not start with the host: crontab: {err.strip()}" if code else ""

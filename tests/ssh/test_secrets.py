"""Passphrases: asked for once, on the terminal, and written nowhere."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.ssh.fleet import Fleet, keygen

PASSPHRASE = "correct horse battery staple"

# Runs a command on a terminal of its own, answers the first question with $1, and looks meanwhile at every
# process's arguments and environment for it. The transcript is standard output.
ON_A_TERMINAL = r"""
import os, pty, select, sys, time
secret, argv = sys.argv[1].encode(), sys.argv[2:]
sys.argv[1] = ""
child, terminal = pty.fork()
if not child:
    os.execv(argv[0], argv)
transcript, answered, seen = b"", 0, set()
while True:
    ready, _, _ = select.select([terminal], [], [], 0.02)
    if ready:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        transcript += data
        if not answered and b"passphrase of" in transcript:
            answered = 1
            os.write(terminal, secret + b"\n")
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            for name in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{entry}/{name}", "rb") as file:
                        if secret in file.read() and str(entry) != str(os.getppid()):
                            seen.add(name)
                except OSError:
                    pass
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(transcript)
questions = transcript.count(b"passphrase of")
print("ENDED", os.waitstatus_to_exitcode(status), "QUESTIONS", questions, "SEEN", sorted(seen))
"""


def test_an_encrypted_key_is_asked_for_once_and_its_passphrase_is_seen_nowhere(own_lab: Fleet) -> None:
    own = own_lab.directory / ".ssh"
    (own / "id_ed25519").unlink()
    (own / "id_ed25519.pub").unlink()
    keygen(own / "id_ed25519", passphrase=PASSPHRASE)
    for name in own_lab.machines:
        home = own_lab.directory / "hosts" / name
        shutil.copy(own / "id_ed25519.pub", home / "authorized_keys")
        copied = own_lab.lab.spawn(
            name,
            ["sh", "-c", 'cp "$1" "$TMPDIR/home/.ssh/authorized_keys"', "sh", str(home / "authorized_keys")],
        )
        assert copied.wait(5) == 0
    # The secret reaches the script by a file, so that no argument has it but for a moment of its own.
    script = own_lab.directory / "on_a_terminal.py"
    script.write_text(ON_A_TERMINAL.replace("sys.argv[1].encode()", "open(sys.argv[1], 'rb').read()"))
    (own_lab.directory / "secret").write_text(PASSPHRASE)
    netlab = [sys.executable, "-m", "netlab", "scan", "-i", "lab.yaml", "--port", "22", "--json", "scan.json"]
    done = own_lab.run([sys.executable, str(script), "secret", *netlab])
    assert "ENDED 0 QUESTIONS 1 SEEN []" in done.out, done.out + done.err
    assert PASSPHRASE not in done.out + done.err
    written = [path for path in own_lab.directory.rglob("*") if path.is_file() and path.name != "secret"]
    assert not [path for path in written if PASSPHRASE.encode() in Path(path).read_bytes()]


def test_without_a_terminal_an_encrypted_key_is_no_key(own_lab: Fleet) -> None:
    own = own_lab.directory / ".ssh"
    (own / "id_ed25519").unlink()
    keygen(own / "id_rsa", "rsa", PASSPHRASE)
    done = own_lab.netlab("scan", "-i", "lab.yaml")
    assert done.code == 3
    assert "id_rsa is encrypted, and there is no terminal to ask for its passphrase on" in done.err
    assert len(done.err.splitlines()) == 1

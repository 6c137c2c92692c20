"""Passphrases: asked for once, on the terminal, and written nowhere."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.ssh.fleet import Fleet, keygen

PASSPHRASE = "correct horse battery staple"


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
    scan = ("scan", "-i", "lab.yaml", "--port", "22", "--json", "scan.json")
    done = own_lab.at_a_terminal(PASSPHRASE, "passphrase of", *scan)
    assert "ENDED 0 QUESTIONS 1 SEEN []" in done.out, done.out + done.err
    assert PASSPHRASE not in done.out + done.err
    written = [path for path in own_lab.directory.rglob("*") if path.is_file()]
    assert not [path for path in written if PASSPHRASE.encode() in Path(path).read_bytes()]


def test_without_a_terminal_an_encrypted_key_is_no_key(own_lab: Fleet) -> None:
    own = own_lab.directory / ".ssh"
    (own / "id_ed25519").unlink()
    keygen(own / "id_rsa", "rsa", PASSPHRASE)
    done = own_lab.netlab("scan", "-i", "lab.yaml")
    assert done.code == 3
    assert "id_rsa is encrypted, and there is no terminal to ask for its passphrase on" in done.err
    assert len(done.err.splitlines()) == 1

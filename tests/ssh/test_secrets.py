"""Passphrases: asked for once, on the terminal, and written nowhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

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


# PASSWORD by crypt(3), in passwd itself: what is in shadow may not be read without root.
PASSWORD = "pass word 123"
_HASH = "$6$netlabsalt$DacqStVKyHqwSjsT4ssPusIJyGDA1t88YgYPvrGshpOD5eZpzdTNKHLt4cpYw2F/YGhxZKzRJIaHcj4TyNd9W."
_ASKS = f"""
printf 'student:%s:1000:1000::%s:/bin/sh\\n' '{_HASH}' "$home" > "$TMPDIR/passwd.new"
grep -v ^student: "$TMPDIR/passwd" >> "$TMPDIR/passwd.new"
cat "$TMPDIR/passwd.new" > "$TMPDIR/passwd"
"""
_BY_PASSWORD = 'sed -i "s/^PasswordAuthentication no/PasswordAuthentication yes/" "$TMPDIR/sshd_config"\n'
_BY_QUESTIONS = """
printf 'auth required pam_unix.so\\naccount required pam_permit.so\\nsession required pam_permit.so\\n' \\
  > "$TMPDIR/pam"
mount --bind "$TMPDIR/pam" /etc/pam.d/sshd
sed -i "s/^UsePAM no/UsePAM yes/" "$TMPDIR/sshd_config"
echo KbdInteractiveAuthentication yes >> "$TMPDIR/sshd_config"
"""


@pytest.mark.parametrize("way", [_BY_PASSWORD, _BY_QUESTIONS], ids=["password", "keyboard-interactive"])
def test_a_password_is_given_in_either_way_that_a_server_asks_for_it(own_lab: Fleet, way: str) -> None:
    (own_lab.directory / "hosts" / "peer" / "more.sh").write_text(_ASKS + way)
    own_lab.daemons["peer"].close()
    own_lab.start_machine("peer")
    own_lab.wait_up("peer")
    text = own_lab.inventory.read_text().replace("user: student", "user: student, only_these_keys: true")
    own_lab.inventory.write_text(text)
    scan = ("scan", "-i", "lab.yaml", "--limit", "peer", "--port", "22", "--strict")
    done = own_lab.at_a_terminal(PASSWORD, "password of", *scan)
    assert "ENDED 0 QUESTIONS 1 SEEN []" in done.out, (
        done.out + done.err + own_lab.daemons["peer"].diagnostics()
    )
    done = own_lab.at_a_terminal("another", "password of", *scan)
    assert "ENDED 3 QUESTIONS 1 SEEN []" in done.out
    assert "student may not log in: 0 keys were tried, and a password" in " ".join(done.out.split())

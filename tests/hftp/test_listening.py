"""Where a server listens, and what it says about that. Only 127.0.0.0/8 and ::1 are bound."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from hftp.errors import DevicePermissionError, ListenError, UnknownDeviceError, UnknownHostError
from hftp.interfaces import devices, local_addresses
from hftp.listen import Place, describe_listener, find_places, format_address, open_listeners
from tests.hftp.serving import PATIENCE_SECONDS, PYTHON, environment, hftp
from tests.requirements import require_ipv6, unavailable


@pytest.fixture(name="ipv6")
def _ipv6() -> None:
    require_ipv6()


needs_ipv6 = pytest.mark.usefixtures("ipv6")


def listen(*hosts: str, **options: bool) -> list[str]:
    """Listen on hosts with one free port; describe the sockets, without the port."""
    places = [place for host in hosts for place in find_places(host, 0, **options)]  # type: ignore[arg-type]
    (sockets,) = open_listeners(places)
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        return [re.sub(r":\d+( |$)", r"\1", describe_listener(sock)) for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.255.255.254"])
def test_any_address_of_127_8_can_be_listened_on(host: str) -> None:
    assert listen(host) == [host]


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_may_have_brackets(host: str) -> None:
    assert listen(host) == ["[::1]"]


def test_several_addresses_share_a_free_port() -> None:
    assert listen("127.0.0.1", "127.0.0.2", "127.0.0.3") == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


def test_an_address_given_twice_is_listened_on_once() -> None:
    assert listen("127.0.0.1", "127.0.0.1") == ["127.0.0.1"]


@needs_ipv6
@pytest.mark.parametrize(("v6only", "remark"), [(False, "IPv4 too"), (True, "IPv6 only")])
def test_the_ipv6_wildcard_says_whether_it_takes_ipv4(v6only: bool, remark: str) -> None:
    """On the device lo, so that nobody else reaches it."""
    try:
        ((sock,),) = open_listeners(find_places("::", 0, v6only=v6only, device="lo"))
    except DevicePermissionError as error:
        unavailable("root", str(error))
    with sock:
        assert describe_listener(sock).endswith(f" ({remark}, device lo only)")
        connected = socket.socket()
        with connected:
            assert (connected.connect_ex(("127.0.0.1", sock.getsockname()[1])) == 0) is not v6only


def test_a_name_with_several_addresses_takes_the_first_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The resolver is another machine's business: this answer stands for what one may say."""
    answers = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    said: list[str] = []
    assert [place.address[0] for place in find_places("localhost", 0, say=said.append)] == ["::1"]
    assert said == ["localhost is ::1, and also 127.0.0.1: --all-addresses listens there, too"]
    places = find_places("localhost", 0, all_addresses=True, say=said.append)
    assert [place.address[0] for place in places] == ["::1", "127.0.0.1"]
    assert len(said) == 1


@pytest.mark.parametrize("host", ["nobody.invalid", "", "a..b", "x" * 300, "256.0.0.1", "[::1", "::1]"])
def test_what_is_no_host_is_unknown(host: str) -> None:
    with pytest.raises(UnknownHostError):
        find_places(host, 0)


def test_a_scope_that_is_no_interface_names_those_that_are() -> None:
    with pytest.raises(UnknownDeviceError, match=r"no device 'nope0'.*ENODEV.*lo"):
        find_places("fe80::1%nope0", 0)


@pytest.mark.parametrize("device", ["nope0", ""])
def test_a_device_that_is_not_there_is_never_ignored(device: str) -> None:
    with pytest.raises(UnknownDeviceError):
        open_listeners(find_places("127.0.0.1", 0, device=device))


@needs_ipv6
def test_the_own_listener_on_the_ipv6_wildcard_is_known_as_the_cause() -> None:
    both = [*find_places("::", 0, device="lo"), *find_places("0.0.0.0", 0, device="lo")]
    try:
        with pytest.raises(ListenError, match=r"EADDRINUSE.*takes IPv4 as well.*--v6only"):
            open_listeners(both)
    except DevicePermissionError as error:
        unavailable("root", str(error))


def test_the_device_is_said() -> None:
    place = Place(socket.AF_INET, ("127.0.0.1", 0), device="lo")
    try:
        ((sock,),) = open_listeners([place])
    except DevicePermissionError as error:
        unavailable("root", str(error))
    with sock:
        assert describe_listener(sock).endswith(" (device lo only)")


def test_a_failure_closes_the_sockets_before_it() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(ListenError):
        open_listeners([*find_places("127.0.0.1", 0), *find_places("203.0.113.1", 0)])
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("::1", 80, 0, 0), "[::1]:80"),
        (("fe80::1", 80, 0, 1), "[fe80::1%lo]:80"),
        (("fe80::1", 80, 0, 4_000_000), "[fe80::1%4000000]:80"),
    ],
)
def test_an_address_is_written_as_people_do(address: tuple[object, ...], text: str) -> None:
    assert format_address(address) == text


def test_this_machine_has_the_loopback_address() -> None:
    assert "127.0.0.1" in local_addresses()
    assert "lo" in devices()


# What the command says. Each is one line on standard error, and says what to do.


def serve_fails(*arguments: str) -> tuple[int, str]:
    """Run `hftp serve` where it can't; give its exit code and its line."""
    ended = hftp("serve", *arguments)
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    return ended.returncode, ended.stderr


def test_a_port_in_use_says_how_to_find_who_uses_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, line = serve_fails("-a", "127.0.0.1", "-p", str(port))
    assert code == 3
    assert f"127.0.0.1:{port}: Address already in use (EADDRINUSE)" in line
    assert f"ss -ltnp 'sport = :{port}'" in line


def test_an_address_of_another_machine_says_which_are_this_ones() -> None:
    code, line = serve_fails("-a", "203.0.113.1", "-p", "0")
    assert code == 3
    assert "EADDRNOTAVAIL" in line
    assert "127.0.0.1" in line


# Without any privilege, whoever runs these tests: in a user namespace where this user has no number.


def without_privilege(*arguments: str) -> tuple[int, str]:
    """Run `hftp serve` where it can't for want of a privilege; give its exit code and its line."""
    unshare = ["unshare", "--user", "--net"]
    if (tried := subprocess.run([*unshare, "true"], capture_output=True, text=True)).returncode:
        unavailable("netns", tried.stderr.strip())
    ended = subprocess.run(
        [*unshare, PYTHON, "-m", "hftp", "serve", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    return ended.returncode, ended.stderr


def test_a_privileged_port_says_which_are_not() -> None:
    code, line = without_privilege("-a", "0.0.0.0", "-p", "80")
    assert code == 3
    assert "EACCES" in line
    assert "a port below 1024 takes root" in line


def test_an_unreadable_directory_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    code, line = without_privilege("-a", "0.0.0.0", "-p", "0", "-d", str(tmp_path))
    tmp_path.chmod(0o700)
    assert code == 3
    assert "EACCES" in line


def test_a_user_that_only_root_can_become_is_one_line() -> None:
    code, line = without_privilege("-a", "0.0.0.0", "-p", "0", "--user", "root")
    assert code == 3
    assert "only root can" in line


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-a", "nobody.invalid"], 4, "unknown host 'nobody.invalid'"),
        (["-a", "127.0.0.1", "--device", "nope0"], 3, "ENODEV"),
        (["-a", "fe80::1%nope0"], 3, "ENODEV"),
        (["-a", "127.0.0.1", "-d", "/nonexistent"], 3, "ENOENT"),
        (["-a", "127.0.0.1", "-d", "/dev/null"], 3, "ENOTDIR"),
        (["-p", "65536"], 2, "from 0 to 65535"),
        (["-p", "http"], 2, "from 0 to 65535"),
        (["-p", "-1"], 2, "from 0 to 65535"),
        (["--grace", "forever"], 2, "seconds"),
        (["--grace", "nan"], 2, "seconds"),
        (["--nonsense"], 2, "--nonsense"),
        (["somewhere"], 2, "somewhere"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(arguments: list[str], code: int, said: str) -> None:
    ended, line = serve_fails("-p", "0", *arguments)
    assert ended == code
    assert said in line


def test_without_an_address_it_listens_on_loopback_and_says_how_to_open_it_up(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [PYTHON, "-m", "hftp", "serve", "-p", "0"],
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.terminate()
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert re.fullmatch(r"listening on 127\.0\.0\.1:\d+\n", line)
    assert errors.count("\n") == 1
    assert "-a 0.0.0.0" in errors


@needs_ipv6
def test_each_listener_has_its_line(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [PYTHON, "-m", "hftp", "serve", "-p", "0", "-a", "127.0.0.1", "-a", "::1"],
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first, second = process.stdout.readline(), process.stdout.readline()
    port = int(first.rpartition(":")[2])
    assert [first, second] == [f"listening on 127.0.0.1:{port}\n", f"listening on [::1]:{port}\n"]
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, port)) as sock:
            sock.sendall(b"help\r\n")
            assert sock.recv(6) == b"0 OK\r\n"
    process.terminate()
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0


def test_who_connects_before_the_server_runs_is_answered_without_delay_too() -> None:
    ((listener,),) = open_listeners(find_places("127.0.0.1", 0))
    with listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

"""How HOST[:PORT] is read, and what a progress bar shows."""

from __future__ import annotations

import pytest

from hftp.cli import _server
from hftp.progress import bar_line


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("example.org", ("example.org", 19500)),
        ("example.org:80", ("example.org", 80)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("::1", ("::1", 19500)),
        ("[::1]", ("::1", 19500)),
        ("[::1]:80", ("::1", 80)),
        ("fe80::1%eth0", ("fe80::1%eth0", 19500)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
    ],
)
def test_a_server_is_a_host_and_perhaps_a_port(text: str, server: tuple[str, int]) -> None:
    assert _server(text) == server


@pytest.mark.parametrize(
    ("done", "size", "line"),
    [
        (0, 100, "name [>                   ]   0%     0.0 MB/s"),
        (50, 100, "name [==========>         ]  50%    12.5 MB/s"),
        (100, 100, "name [====================] 100%    25.0 MB/s"),
        (0, 0, "name [====================] 100%     0.0 MB/s"),
    ],
)
def test_a_bar_is_as_long_as_the_share_that_is_there(done: int, size: int, line: str) -> None:
    assert bar_line("name", done, size, done * 1_000_000, 4.0, len(line)) == line


@pytest.mark.parametrize("width", [0, 1, 10, 20, 30, 80, 200])
def test_a_bar_is_never_wider_than_the_terminal(width: int) -> None:
    assert len(bar_line("n" * 255, 1, 3, 1, 1.0, width)) == width

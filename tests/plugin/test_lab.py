"""The fixtures, used as a user uses them: this project has its own plugin loaded, too."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import pytest

from netlab.errors import LabError, NetlabError
from netlab.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.pytest_plugin.fixtures import StartLab, StartServer
    from netlab.pytest_plugin.running import RunningHost, RunningLab
    from netlab.pytest_plugin.servers import Server

    Host = Callable[[str], RunningHost]

HTTP = ["{python}", "-m", "http.server", "--bind", "{address}", "{port}", "--directory", "{data}"]
# A child that outlives the program and holds its standard output.
LEAVES_A_CHILD = "import os, time; os.fork() or time.sleep(60); print('done') # {}"
COMMANDS = """
import pathlib
for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    print(process.read_text().replace(chr(0), " "))
"""


def running(host: RunningHost) -> str:
    """Return the command lines of every process that the host sees."""
    commands = host.run(["python3", "-c", COMMANDS]).stdout
    assert "pathlib" in commands  # it sees itself
    return commands


@pytest.fixture
def web(netlab_server: StartServer) -> Server:
    return netlab_server(HTTP, bind="127.0.0.1")


def test_the_standard_lab_has_a_server_a_neighbour_and_others(netlab_lab: RunningLab) -> None:
    assert set(netlab_lab.hosts) == {"server", "peer", "router", "remote", "outsider"}


def test_a_server_on_loopback_is_open_to_its_own_host_only(netlab_host: Host, web: Server) -> None:
    assert netlab_host("server").can_reach(web, "127.0.0.1")
    assert not netlab_host("peer").can_reach(web)
    assert netlab_host("peer").can_reach(web).verdict == "refused"


@pytest.mark.parametrize("hftp_server", ["127.0.0.1", "0.0.0.0", "{lan.ipv4}"], indirect=True)
def test_every_bind_of_an_hftp_server_comes_out_as_predicted(netlab_host: Host, hftp_server: Server) -> None:
    for name in ("server", "peer", "remote", "outsider"):
        reach = netlab_host(name).can_reach(hftp_server)
        assert reach.as_predicted
        others = hftp_server.bind.address != "127.0.0.1" and name != "outsider"
        assert bool(reach) is others


def test_who_has_no_route_gets_told_so(netlab_host: Host, hftp_server: Server) -> None:
    reach = netlab_host("outsider").can_reach(hftp_server)
    assert str(reach.outcome) == "unreachable (ENETUNREACH)"


def test_a_target_is_a_name_or_an_address_of_the_server(netlab_host: Host, hftp_server: Server) -> None:
    peer = netlab_host("peer")
    assert peer.can_reach(hftp_server, "{hostname}").cell.target.address == "server"
    assert peer.can_reach(hftp_server, "{back.ipv4}").cell.target.address == "198.18.2.11"
    assert peer.can_reach(hftp_server, "nowhere.example").verdict is Verdict.UNRESOLVED
    with pytest.raises(NetlabError, match=r"\{near\.ipv4\}: there is \{hostname\}, \{lan\.ipv4\}"):
        peer.can_reach(hftp_server, "{near.ipv4}")


def test_another_port_than_the_servers_own_is_dialled_if_asked(netlab_host: Host, web: Server) -> None:
    assert netlab_host("server").can_reach(web, "127.0.0.1", port=web.port + 1).verdict == "refused"


def test_several_servers_run_at_once_on_one_host(netlab_host: Host, netlab_server: StartServer) -> None:
    first, second = (netlab_server(HTTP, port=port) for port in (8081, 8082))
    assert netlab_host("peer").can_reach(first)
    assert netlab_host("peer").can_reach(second)
    first.stop()
    assert netlab_host("peer").can_reach(first).verdict == "refused"
    assert netlab_host("peer").can_reach(second)


def test_a_server_ends_with_its_test(netlab_lab: RunningLab, netlab_host: Host) -> None:
    with netlab_lab.server(HTTP) as server:
        assert netlab_host("peer").can_reach(server)
    assert not netlab_host("peer").can_reach(server)


def test_a_server_has_its_files(netlab_host: Host, netlab_server: StartServer) -> None:
    server = netlab_server(HTTP, files={"index.html": "it works"})
    fetch = (
        f"import urllib.request as u; print(u.urlopen('http://198.18.1.11:{server.port}').read().decode())"
    )
    assert netlab_host("peer").run(["python3", "-c", fetch]).stdout == "it works\n"


def test_a_server_that_cannot_bind_says_what_it_could(netlab_server: StartServer) -> None:
    with pytest.raises(
        LabError, match=r"192\.0\.2\.1 is no address of this host, .*: bind 0\.0\.0\.0, the wildcard"
    ):
        netlab_server(HTTP, bind="192.0.2.1")


def test_a_server_that_does_not_listen_is_waited_for_no_longer_than_asked(netlab_server: StartServer) -> None:
    with pytest.raises(LabError, match=r"did not listen on port 8080 within 0\.2 s; it said: nothing"):
        netlab_server(["sleep", "60"], timeout_s=0.2)


def test_what_a_program_printed_and_how_it_ended_is_known(netlab_host: Host) -> None:
    done = netlab_host("peer").run(["sh", "-c", "cat; echo oops >&2; exit 3"], stdin="hello\n")
    assert (done.stdout, done.stderr, done.exit_code) == ("hello\n", "oops\n", 3)


def test_a_program_runs_on_the_host_that_is_named(netlab_host: Host) -> None:
    for name in ("peer", "outsider"):
        assert netlab_host(name).run(["hostname"]).stdout == f"{name}\n"


def test_a_program_that_is_not_there_is_an_error_in_one_line(netlab_host: Host) -> None:
    with pytest.raises(LabError, match=r"^agent on peer: run: No such file or directory \(nowhere\)$"):
        netlab_host("peer").run(["nowhere"])


def test_a_program_is_ended_when_its_time_is_over(netlab_host: Host) -> None:
    mark = uuid.uuid4().hex
    with pytest.raises(TimeoutError, match=r"peer: sh still ran after 0\.3 s; it said last: begun"):
        netlab_host("peer").run(["sh", "-c", f"echo begun; sleep 60; {mark}"], timeout_s=0.3)
    assert mark not in running(netlab_host("peer"))


def test_what_a_program_leaves_behind_is_ended_with_it(netlab_host: Host) -> None:
    mark = uuid.uuid4().hex
    done = netlab_host("peer").run(["python3", "-c", LEAVES_A_CHILD.format(mark)])
    assert (done.exit_code, done.stdout) == (0, "done\n")
    assert mark not in running(netlab_host("peer"))


def test_a_program_that_says_too_much_does_not_stand_still(netlab_host: Host) -> None:
    done = netlab_host("peer").run(["python3", "-c", "print('x' * (9 << 20))"], timeout_s=30)
    assert (done.exit_code, len(done.stdout)) == (0, 4 << 20)


def test_an_unknown_host_is_an_error_that_lists_the_others(netlab_host: Host) -> None:
    with pytest.raises(
        NetlabError, match="no host is called 'pear': there is router, peer, remote, outsider, server"
    ):
        netlab_host("pear")


def test_a_second_lab_does_not_meet_the_first(
    netlab_start_lab: StartLab, netlab_host: Host, hftp_server: Server
) -> None:
    assert netlab_host("peer").can_reach(hftp_server)
    with netlab_start_lab() as other:
        assert not other.host("peer").can_reach(hftp_server)


def test_the_explanation_has_the_steps_the_evidence_and_what_to_change(
    netlab_host: Host, web: Server
) -> None:
    text = str(netlab_host("peer").can_reach(web))
    assert re.search(r"predicted refused, observed refused", text)
    assert re.search(r"4  listener  server  no socket for 198\.18\.1\.11:8080 by eth0", text)
    assert re.search(r"connect 198\.18\.1\.11:8080: ECONNREFUSED after", text)
    assert text.endswith("To open it: bind 0.0.0.0 or 198.18.1.11.")

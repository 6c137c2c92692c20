"""`netlab check` of real machines: a service that it starts there, and groups of the inventory."""

from __future__ import annotations

from netlab.errors import ExitCode
from tests.ssh.fleet import Done, Fleet

CHECK = """\
lab: {inventory: lab.yaml}
service:
  command: ["{hftp}", serve, --address, "{address}", --port, "{port}", --directory, "{data}"]
  port: 19500
  check: hftp
binds:
  any: {host: server-any, address: 0.0.0.0}
  local: {host: server-any, address: 127.0.0.1}
vantages: [peer, remote, controller]
groups: {near: [peer, controller]}
expect:
  - deny
  - allow: {bind: any, from: ["group:near", remote], to: "198.18.1.*-ipv4"}
  - allow: {bind: any, from: peer, to: "198.18.2.*-ipv4"}  # by its route to there: the weak host model
"""


def check(lab: Fleet, text: str, *arguments: str) -> Done:
    (lab.directory / "netlab.yaml").write_text(text)
    return lab.netlab("check", *arguments)


def test_machines_are_checked_bind_after_bind(lab: Fleet) -> None:
    done = check(lab, CHECK)
    assert done.code == ExitCode.OK, done.out + done.err


def test_a_machine_that_is_down_is_left_out_and_the_check_is_not_green(own_lab: Fleet) -> None:
    own_lab.daemons["peer"].close()
    done = check(own_lab, CHECK)
    assert done.code == ExitCode.NOT_MEASURED, done.out + done.err
    assert "left out: peer: " in done.out


def test_without_the_machine_that_serves_nothing_is_measured(own_lab: Fleet) -> None:
    own_lab.daemons["server-any"].close()
    done = check(own_lab, CHECK)
    assert done.code == ExitCode.NOT_MEASURED, done.out + done.err
    assert "server-any" in done.out + done.err

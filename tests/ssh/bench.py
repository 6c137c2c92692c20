"""`make bench-ssh`: a room of fifty machines, deployed to and scanned, beside the same done with Ansible.

The machines are network namespaces of this one, each with a real OpenSSH daemon: all share its processors.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netlab.deploy.release import release_for
from netlab.inventory.model import Serving
from tests.ssh.deploying import GUEST, Room, room
from tests.ssh.fleet import CONTROLLER, USER, Done

# Dials every machine at once, as a script that somebody writes for the purpose would.
_DIAL_ALL = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def dial(address):
    with socket.create_connection((address, 19500), 5) as sock:
        sock.sendall(b"get_file_listing\\r\\n")
        return sock.recv(64).startswith(b"0 ")
with ThreadPoolExecutor(64) as pool:
    sys.exit(not all(pool.map(dial, sys.argv[1:])))
"""

_PLAYBOOK = """
- hosts: lab
  gather_facts: false
  vars:
    base: "{{ ansible_env_home }}/.local/share/bench"
    release: "{{ base }}/releases/one"
  tasks:
    - name: directories
      ansible.builtin.file: {path: "{{ item }}", state: directory, mode: "0700"}
      loop: ["{{ release }}", "{{ ansible_env_home }}/hftp-data"]
    - name: program, supervisor and settings
      ansible.builtin.copy: {src: "{{ item }}", dest: "{{ release }}/", mode: "0600"}
      loop: [bench/hftp.pyz, bench/supervisor.py, bench/release.json, bench/dial.py]
    - name: current release
      ansible.builtin.file: {src: releases/one, dest: "{{ base }}/current", state: link}
    - name: server
      ansible.builtin.command:
        cmd: "{{ python }} -I -S {{ base }}/current/supervisor.py start {{ base }}"
        creates: "{{ base }}/run/state.json"
    - name: health
      ansible.builtin.wait_for: {host: 127.0.0.1, port: 19500, timeout: 10}
    - name: reachable from every machine
      ansible.builtin.command: "{{ python }} {{ release }}/dial.py {{ addresses }}"
      changed_when: false
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - name: reachable from the controller
      ansible.builtin.command: "{{ python }} bench/dial.py {{ addresses }}"
      changed_when: false
"""

_CONFIGURATION = """
[defaults]
forks = 32
host_key_checking = True
retry_files_enabled = False
[ssh_connection]
pipelining = True
"""


@dataclass(frozen=True)
class Step:
    """A thing that is timed.

    Attributes:
        name: what is done.
        goal_s: in what time it has to be; 0 for a reference.
        seconds: in what time it was.
        code: how the command ended.
    """

    name: str
    goal_s: float
    seconds: float
    code: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; the exit code says whether the goals were met."""
    parser = argparse.ArgumentParser(prog="python -m tests.ssh.bench", description=__doc__)
    parser.add_argument("--machines", type=int, default=50)
    parser.add_argument("--ansible", default="ansible-playbook", help="its ansible-playbook")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory, room(Path(directory), options.machines) as lab:
        _acquaint(lab)
        lab.inventory("reachable_from: [controller, lab]")
        steps = _of_netlab(lab)
        playbook = shutil.which(options.ansible)
        if playbook is None:
            sys.stderr.write("no ansible-playbook: name one with --ansible\n")
        else:
            steps += _of_ansible(lab, playbook)
    lines = [f"{options.machines} machines, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"]
    for step in steps:
        goal = f"goal {step.goal_s:g} s" if step.goal_s else "reference"
        failed = f", exit code {step.code}" if step.code else ""
        lines.append(f"{step.name:<45} {step.seconds:6.1f} s  {goal}{failed}")
    sys.stdout.write("\n".join(lines) + "\n")
    if options.json:
        Path(options.json).write_text(json.dumps([vars(step) for step in steps], indent=1) + "\n")
    return int(any(step.goal_s and (step.code or step.seconds > step.goal_s) for step in steps))


def _timed(name: str, goal_s: float, done: Done, started: float) -> Step:
    if done.code:
        sys.stderr.write(done.out[-2000:] + done.err[-2000:])
    return Step(name, goal_s, time.monotonic() - started, done.code)


def _of_netlab(lab: Room) -> list[Step]:
    plan: list[tuple[str, float, tuple[str, ...]]] = [
        ("deploy from nothing, with the gate", 30.0, ("deploy",)),
        ("deploy again", 10.0, ("deploy",)),
        ("scan, full mesh", 20.0, ("scan", "--port", "19500")),
        ("status", 0.0, ("status",)),
        ("undeploy", 0.0, ("undeploy",)),
    ]
    steps = []
    for name, goal_s, (command, *rest) in plan:
        started = time.monotonic()
        done = lab.up.netlab(command, "-i", "lab.yaml", *rest, timeout_s=300)
        steps.append(_timed(f"netlab: {name}", goal_s, done, started))
    return steps


def _of_ansible(lab: Room, playbook: str) -> list[Step]:
    _write_playbook(lab)
    steps = []
    for name in ("deploy from nothing, with the gate", "deploy again"):
        started = time.monotonic()
        script = 'export ANSIBLE_CONFIG=$PWD/ansible.cfg ANSIBLE_LOCAL_TEMP=$PWD/tmp; exec "$@"'
        argv = ["sh", "-c", script, "sh", playbook, "-i", "hosts.ini", "playbook.yaml"]
        steps.append(_timed(f"Ansible: {name}", 0.0, lab.up.run(argv, timeout_s=900), started))
    return steps


def _write_playbook(lab: Room) -> None:
    place = lab.up.directory
    python = lab.up.lab.python(CONTROLLER)
    release = release_for(Serving(), "python3")
    (place / "bench").mkdir()
    (place / "bench" / "hftp.pyz").write_bytes(release.program)
    (place / "bench" / "supervisor.py").write_text(release.supervisor)
    (place / "bench" / "release.json").write_text(release.manifest)
    (place / "bench" / "dial.py").write_text(_DIAL_ALL)
    (place / "playbook.yaml").write_text(_PLAYBOOK)
    (place / "ansible.cfg").write_text(_CONFIGURATION)
    known = f"-o UserKnownHostsFile={place}/.ssh/known_hosts -o ControlMaster=auto -o ControlPersist=60s"
    hosts = "".join(f"{name} ansible_host={lab.up.machines[name]}\n" for name in lab.names)
    home = lab.run(lab.names[0], "pwd").strip()
    variables = {
        "ansible_user": USER,
        "ansible_ssh_private_key_file": f"{place}/.ssh/id_ed25519",
        "ansible_ssh_common_args": f"'{known}'",
        "ansible_python_interpreter": python,
        "ansible_env_home": home,
        "python": python,
        "addresses": "'" + " ".join(lab.up.machines[name] for name in lab.names) + "'",
    }
    settings = "".join(f"{name}={value}\n" for name, value in variables.items())
    (place / "hosts.ini").write_text(f"[lab]\n{hosts}\n[all:vars]\n{settings}")


def _acquaint(lab: Room) -> None:
    """Tell every machine the others' link-layer addresses.

    The kernel keeps neighbours of all namespaces in one table of 1024 entries (arp(7), gc_thresh3), which
    fifty machines that talk to one another overflow; on fifty real machines each has a table of its own. What
    is permanent does not count (net/core/neighbour.c, neigh_alloc).
    """
    names = [*lab.names, GUEST, CONTROLLER]
    topology = lab.up.lab.topology
    links = {name: _link_address(lab, name) for name in names}
    for name in names:
        lines = [
            f"neigh replace {address.ip} lladdr {links[other]} dev eth0 nud permanent\n"
            for other in names
            if other != name
            for address in topology.host(other).links[0].addresses
        ]
        batch = lab.up.directory / "neighbours"
        batch.write_text("".join(lines))
        channel = lab.up.lab.spawn(name, ["ip", "-batch", str(batch)])
        assert channel.wait(30) == 0, channel.diagnostics()
        channel.close()


def _link_address(lab: Room, name: str) -> str:
    channel = lab.up.lab.spawn(name, ["ip", "-o", "link", "show", "eth0"])
    line = channel.readline(10).decode()
    channel.close()
    return line.partition("link/ether ")[2].split()[0]


if __name__ == "__main__":
    sys.exit(main())

"""`netlab deploy --method container`: to machines with an engine of their own."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from tests.compose.conftest import Engine, find_engine
from tests.requirements import unavailable
from tests.ssh.deploying import BASE, lines_of, wait_until
from tests.ssh.fleet import Done
from tests.ssh.machines import USER, Machines, machines

FIRST, SECOND, PLAIN = "engine1", "engine2", "plain"
SERVER = "hftp-server"
# What the test's own images are called here.
OURS = f"netlab-test-{os.getpid()}"
# What becomes of the program in an image.
DIES_AT_ONCE = "printf '#!/bin/sh\\necho no luck; exit 3\\n' > /usr/local/bin/hftp"
DIES_SOON = r"""
cd /usr/local/bin && mv hftp hftp.real && chmod 755 hftp.real && cat > hftp <<'END' && chmod 755 hftp
#!/bin/sh
hftp.real "$@" &
sleep 0.7
kill -9 $!
END
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Two machines with an engine, and one without."""
    engine = find_engine()
    if engine.run("image", "inspect", SERVER).returncode:
        unavailable("compose", f"the engine has no image {SERVER}; try: make images")
    with machines(engine, tmp_path_factory.mktemp("machines"), (FIRST, SECOND, PLAIN)) as up:
        try:
            yield up
        finally:
            made = engine("image", "ls", "--quiet", "--filter", f"reference={OURS}")
            if made:
                engine("image", "rm", "--force", *made.split())


@pytest.fixture(autouse=True)
def from_nothing(lab: Machines) -> None:
    """Every test begins with nothing deployed; the engines keep the images that they were sent."""
    lab.inventory("reachable_from: [all, controller]", only=[FIRST, SECOND])
    keep = "for image in $(docker image ls --quiet | sort -u); do docker tag $image kept:$image; done"
    for name in (FIRST, SECOND):
        remove = f"docker ps --all --quiet | xargs -r docker rm --force >/dev/null; rm -rf {BASE}"
        lab.shell(name, f"{remove}; {keep}")


def deploy(lab: Machines, *arguments: str) -> Done:
    """Deploy, as a container."""
    return lab.netlab("deploy", "-i", "lab.yaml", "--method", "container", *arguments)


def deployed(lab: Machines, *arguments: str) -> dict[str, str]:
    """Deploy with success; return each machine's line."""
    done = deploy(lab, *arguments)
    assert done.code == 0, done.out + done.err
    return lines_of(done)


def image(engine: Engine, name: str, script: str = "true") -> str:
    """Make an image of the server's, changed by a shell's script; return its name."""
    made = engine("create", "--user", "0", "--network", "none", "--entrypoint", "sh", SERVER, "-c", script)
    try:
        engine("start", "--attach", made)
        engine("commit", "--change", "USER 10001", made, f"{OURS}:{name}")
    finally:
        engine("rm", made)
    return f"{OURS}:{name}"


def current(lab: Machines, name: str) -> str:
    """Return the release that a machine is to run; empty for none."""
    return lab.shell(name, f"readlink {BASE}/current || true").removeprefix("releases/")


def releases(lab: Machines, name: str) -> set[str]:
    """Return the releases on a machine, shortened as in the names of containers."""
    return {release[:12] for release in lab.shell(name, f"ls {BASE}/releases 2>/dev/null || true").split()}


def containers(lab: Machines, name: str) -> set[str]:
    """Return the releases of which containers are on a machine."""
    names = lab.shell(name, "docker ps --all --format '{{.Names}}'").split()
    return {name.removeprefix("netlab-hftp-1000-").removesuffix("-trial") for name in names}


def inspect(lab: Machines, name: str) -> dict[str, Any]:
    """Return what a machine's engine says of the container that serves."""
    container = f"netlab-hftp-1000-{current(lab, name)[:12]}"
    found: list[dict[str, Any]] = json.loads(lab.shell(name, f"docker inspect {container}"))
    return found[0]


def loads(lab: Machines, name: str) -> int:
    """Return how many images a machine's engine has been sent so far."""
    until = lab.shell(name, "date +%s")
    events = f"docker events --since 0 --until {until} --filter type=image --filter event=load"
    return len(lab.shell(name, events).splitlines())


def test_the_image_travels_once_over_one_connection_and_a_second_run_changes_nothing(lab: Machines) -> None:
    before = {name: (loads(lab, name), accepted(lab, name)) for name in (FIRST, SECOND)}
    for line in deployed(lab).values():
        assert line.startswith("deployed")
        assert "before: nothing, as wanted from 2 vantages" in line
    for name, (sent, connections) in before.items():
        assert loads(lab, name) == sent + 1
        assert accepted(lab, name) == connections + 1
        assert lab.serves(name)
    running = {name: inspect(lab, name)["State"]["StartedAt"] for name in (FIRST, SECOND)}
    release = current(lab, FIRST)[:12]
    assert set(deployed(lab).values()) == {f"unchanged {release} as wanted from 2 vantages"}
    assert {name: inspect(lab, name)["State"]["StartedAt"] for name in running} == running
    # Other settings are another release, of the same image: it is not sent again.
    lab.inventory("port: 19501\nreachable_from: [controller]", only=[FIRST])
    done = deploy(lab, "--check")
    assert f"upload release {current(lab, FIRST)[:0]}" in done.out
    assert current(lab, FIRST)[:12] == release
    deployed(lab)
    assert current(lab, FIRST)[:12] != release
    assert loads(lab, FIRST) == before[FIRST][0] + 1
    assert lab.serves(FIRST, 19501)
    assert not lab.serves(FIRST)


def accepted(lab: Machines, name: str) -> int:
    """Return how many connections a machine's sshd has let in."""
    done = lab.engine.run("logs", lab.containers[name])
    return (done.stdout + done.stderr).count("Accepted publickey")


def test_the_container_may_do_nothing_but_serve(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[FIRST])
    deployed(lab)
    container = inspect(lab, FIRST)
    settings = container["HostConfig"]
    assert container["Config"]["User"] == lab.shell(FIRST, "echo $(id -u):$(id -g)")
    assert settings["ReadonlyRootfs"] is True
    assert settings["CapDrop"] == ["ALL"]
    assert settings["SecurityOpt"] == ["no-new-privileges"]
    assert settings["NetworkMode"] == "host"
    assert settings["RestartPolicy"]["Name"] == "unless-stopped"
    assert settings["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "4", "max-size": "1m"}}
    (mount,) = container["Mounts"]
    assert (mount["Source"], mount["RW"]) == (f"/home/{USER}/hftp-data", False)
    status = lab.on(FIRST, "cat", f"/proc/{container['State']['Pid']}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["1000"] * 4
    assert (fields["CapEff"], fields["CapBnd"], fields["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")


def test_another_image_takes_its_place_and_rollback_takes_it_back(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]\nkeep: 1", only=[FIRST])
    deployed(lab)
    old = current(lab, FIRST)
    for number in "12":
        deployed(lab, "--image", image(lab.engine, number, f"echo {number} > /number"))
    new = current(lab, FIRST)
    # Of three releases two are kept, and the containers of these.
    assert old[:12] not in containers(lab, FIRST)
    assert containers(lab, FIRST) == releases(lab, FIRST)
    assert len(releases(lab, FIRST)) == 2
    done = lab.netlab("rollback", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err
    assert current(lab, FIRST) not in (old, new)
    assert f"netlab-hftp-1000-{current(lab, FIRST)[:12]}" in lab.shell(
        FIRST, "docker ps --format '{{.Names}}'"
    )
    assert lab.serves(FIRST)


def test_a_killed_server_is_started_again_and_its_log_is_shown(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[FIRST])
    deployed(lab)
    lab.on(FIRST, "kill", "-9", str(inspect(lab, FIRST)["State"]["Pid"]))
    wait_until(lambda: inspect(lab, FIRST)["RestartCount"] == 1 and lab.serves(FIRST))
    done = lab.netlab("status", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err
    assert "healthy, 1 restarts" in " ".join(done.out.split())
    assert "0.0.0.0:19500 hftp-data (container)" in done.out
    assert lab.netlab("logs", FIRST, "-i", "lab.yaml").out.count("listening on 0.0.0.0:19500") == 2
    with lab.start("logs", FIRST, "-i", "lab.yaml", "-f", "-n", "1") as following:
        assert following.stdout is not None
        assert following.stdout.readline()
        lab.serves(FIRST)
        line = following.stdout.readline()
        following.terminate()
    assert "get_file_listing" in line


def test_an_image_whose_server_dies_leaves_the_old_one_serving_and_none_where_none_was(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[FIRST])
    deployed(lab)
    old = current(lab, FIRST)
    done = deploy(lab, "--image", image(lab.engine, "dies", DIES_AT_ONCE))
    assert done.code == 1, done.out + done.err
    line = lines_of(done)[FIRST]
    assert line.startswith(f"went back {old[:12]}"), line
    assert "no luck" in line
    assert current(lab, FIRST) == old
    assert containers(lab, FIRST) == {old[:12]}
    assert lab.serves(FIRST)
    lab.inventory("reachable_from: [controller]", only=[SECOND])
    done = deploy(lab, "--image", image(lab.engine, "dies-late", DIES_SOON))
    assert done.code == 1, done.out + done.err
    line = lines_of(done)[SECOND]
    assert line.startswith("went back -"), line
    assert "nothing runs there now" in line
    assert current(lab, SECOND) == ""
    assert containers(lab, SECOND) == set()
    assert not lab.serves(SECOND)


def test_who_must_not_get_through_and_does_takes_the_release_back(lab: Machines) -> None:
    lab.inventory("addresses: [127.0.0.1]\nnot_from: [engine2]\nhosts: [engine1]", only=[FIRST, SECOND])
    deployed(lab)
    old = current(lab, FIRST)
    lab.inventory("addresses: [0.0.0.0]\nnot_from: [engine2]\nhosts: [engine1]", only=[FIRST, SECOND])
    done = deploy(lab)
    assert done.code == 1, done.out + done.err
    line = lines_of(done)[FIRST]
    assert line.startswith(f"went back {old[:12]} engine2 gets through to {lab.addresses[FIRST]}:19500")
    assert "not_from forbids" in line
    assert current(lab, FIRST) == old
    assert not lab.serves(FIRST)


def test_a_program_and_a_container_take_each_others_place(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[FIRST])
    done = lab.netlab("deploy", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err
    program = current(lab, FIRST)
    assert deployed(lab)[FIRST].startswith("deployed")
    assert "(container)" in lab.netlab("status", "-i", "lab.yaml").out
    assert not processes(lab, "supervisor.py")
    bad = image(lab.engine, "dies", DIES_AT_ONCE)
    assert lines_of(deploy(lab, "--image", bad))[FIRST].startswith("went back")
    done = lab.netlab("rollback", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err
    assert current(lab, FIRST) == program
    assert "(supervised)" in lab.netlab("status", "-i", "lab.yaml").out
    assert lab.shell(FIRST, "docker ps --quiet") == ""


def processes(lab: Machines, program: str) -> str:
    """Return the processes of the first machine whose command has a text in it."""
    script = 'cd /proc; for p in [0-9]*; do grep -aq "$0" $p/cmdline 2>/dev/null && echo $p; done; true'
    # As a pattern that does not match itself.
    return lab.on(FIRST, "sh", "-c", script, f"{program[:-1]}[{program[-1]}]")


def test_undeploy_leaves_the_data_and_no_container_and_no_image(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[SECOND])
    images = set(lab.shell(SECOND, "docker image ls --format '{{.Repository}}:{{.Tag}}'").split())
    files = lab.directory / "files"
    files.mkdir(exist_ok=True)
    (files / "a.txt").write_bytes(b"a" * 100_000)
    lines = deployed(lab, "--data", "files")
    assert "a.txt sent" in lines[SECOND]
    place = f"{lab.addresses[SECOND]}"
    assert lab.run([*lab.command()[:2], "hftp", "cat", place, "a.txt"]).out == "a" * 100_000
    done = lab.netlab("undeploy", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err
    assert lines_of(done)[SECOND] == "removed -"
    assert lab.shell(SECOND, "docker ps --all --quiet") == ""
    left = set(lab.shell(SECOND, "docker image ls --format '{{.Repository}}:{{.Tag}}'").split())
    assert left <= images
    assert not [image for image in left if image.startswith("netlab-hftp")]
    assert lab.shell(SECOND, "cat hftp-data/a.txt") == "a" * 100_000
    assert lab.shell(SECOND, f"ls -d {BASE} 2>/dev/null || true") == ""
    assert lines_of(lab.netlab("undeploy", "-i", "lab.yaml"))[SECOND] == "unchanged - nothing is deployed"


def test_a_controller_that_is_killed_leaves_whole_releases(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[FIRST])
    deployed(lab)
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    for number in range(2):
        name = image(lab.engine, f"killed{number}", f"echo {number} > /number")
        with lab.start("deploy", "-i", "lab.yaml", "--method", "container", "--image", name) as deploying:
            with suppress(subprocess.TimeoutExpired):
                deploying.wait(moments.uniform(0.5, 4))
            deploying.send_signal(signal.SIGKILL)
        wait_until(partial(is_idle, lab), 60)
        assert current(lab, FIRST)[:12] in releases(lab, FIRST), (seed, number)
        assert lab.serves(FIRST), (seed, number)
        done = deploy(lab, "--image", name)
        assert done.code == 0, (seed, number, done.out + done.err)
        assert containers(lab, FIRST) == releases(lab, FIRST), (seed, number)
        assert lab.serves(FIRST)


def is_idle(lab: Machines) -> bool:
    """Whether no program of a controller is at work on the first machine, nor on its way out."""
    return not processes(lab, "netlab-agent")


def test_a_machine_without_an_engine_and_one_with_a_full_disk_are_a_line_each(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[FIRST, SECOND, PLAIN])
    lab.on(SECOND, "sh", "-c", "head -c 10G /dev/zero > /var/lib/docker/filler 2>/dev/null || true")
    try:
        done = deploy(lab, "--image", image(lab.engine, "other", "echo other > /other"))
    finally:
        lab.on(SECOND, "rm", "/var/lib/docker/filler")
    assert done.code == 1, done.out + done.err
    lines = lines_of(done)
    assert lines[FIRST].startswith("deployed"), lines
    assert lines[SECOND].startswith("failed - the disk is full: 0 MiB free in /var/lib/docker"), lines
    assert lines[PLAIN].startswith("failed - no container engine for this account: "), lines
    assert "Traceback" not in done.err


def test_an_image_in_a_file_is_deployed_and_one_for_other_machines_is_not(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[FIRST])
    lab.engine("save", "--output", str(lab.directory / "server.tar"), SERVER)
    before = lab.shell(FIRST, "docker image ls --quiet --filter reference=hftp-server")
    deployed(lab, "--image", "server.tar")
    assert lab.shell(FIRST, "docker image ls --quiet --filter reference=hftp-server") == before
    configuration = {"architecture": "riscv64", "config": {}}
    described = [{"Config": "config.json", "RepoTags": ["odd:1"], "Layers": []}]
    with tarfile.open(lab.directory / "odd.tar", "w") as archive:
        for name, said in (("config.json", configuration), ("manifest.json", described)):
            member = tarfile.TarInfo(name)
            content = json.dumps(said).encode()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    done = deploy(lab, "--image", "odd.tar")
    assert done.code == 1, done.out + done.err
    assert "the image is for riscv64, here is amd64" in lines_of(done)[FIRST]
    (lab.directory / "no.tar").write_bytes(b"no")
    done = deploy(lab, "--image", "no.tar")
    assert done.code == 2
    assert "no.tar: not one image as 'docker save' writes it" in done.err

"""Where a lab of namespaces can't be, netlab says what is in the way. The machines are made so here."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from netlab.doctor import examine
from netlab.model import Topology
from tests.namespaces import bring_up
from tests.netns.forbidding import REMEDY, WHY, only_where_the_number_is_known, without_namespaces
from tests.netns.test_backend import in_namespaces

EXAMINE = """
import json
from dataclasses import astuple
from netlab.doctor import examine
print(json.dumps([astuple(diagnosis) for diagnosis in examine()]))
"""


@pytest.fixture(autouse=True)
def _works_here() -> None:
    """Need a machine that can have labs, to make one of it that can't."""
    with bring_up(Topology((), ())):
        pass


def test_the_doctor_finds_that_labs_come_up_here() -> None:
    (netns,) = [diagnosis for diagnosis in examine() if diagnosis.backend == "netns"]
    assert netns.works
    assert netns.detail.startswith(f"Linux {platform.release().split('.')[0]}.")
    assert netns.detail.endswith((", user namespaces", ", root"))
    assert netns.remedy == ""


@pytest.mark.parametrize(
    ("setup", "why", "remedy"),
    [
        (
            "for kind in user net; do echo 0 > /proc/sys/user/max_${kind}_namespaces; done",
            "user.max_net_namespaces is 0 here",
            "raise it: sudo sysctl user.max_net_namespaces=15000",
        ),
        (
            "echo 1 > /proc/sys/user/max_net_namespaces",
            "there are as many namespaces as the user.max_*_namespaces sysctls allow (host doctor",
            "raise them: sudo sysctl user.max_net_namespaces=15000",
        ),
        (
            "PATH=$PATH:/bin; mount --bind /dev/null $(readlink -f $(command -v unshare)); PATH=/bin",
            "there is no program `unshare`",
            "install util-linux",
        ),
        (
            "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys",
            "/proc/sys is read-only here",
            "start the container with --privileged",
        ),
    ],
    ids=["no namespaces allowed", "too few namespaces allowed", "no unshare", "read-only /proc/sys"],
)
def test_an_obstacle_is_named_with_the_one_thing_to_do(setup: str, why: str, remedy: str) -> None:
    backend, works, detail, to_do = json.loads(in_namespaces(f'{setup}; exec "$@"', EXAMINE))[0]
    assert (backend, works) == ("netns", False)
    assert detail.startswith(why)
    assert to_do.startswith(remedy)


def test_root_does_without_user_namespaces_where_they_are_not_allowed() -> None:
    setup = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    _, works, detail, _ = json.loads(in_namespaces(setup, EXAMINE))[0]
    assert works
    assert detail.endswith(", root")


@only_where_the_number_is_known
def test_a_seccomp_filter_is_named() -> None:
    run = subprocess.run(
        without_namespaces(sys.executable, "-c", EXAMINE),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(run.stdout)[0] == ["netns", False, WHY, REMEDY]

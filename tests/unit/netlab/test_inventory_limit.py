"""`--limit`: which machines of an inventory are meant."""

from __future__ import annotations

import pytest

from netlab.errors import NetlabError
from netlab.inventory.limit import limited, meant
from netlab.inventory.model import Inventory, Login, Machine, Serving

_GROUPS = {"lab01": ("lab", "row1"), "lab02": ("lab", "row1"), "lab03": ("lab", "row2"), "guest": ()}
INVENTORY = Inventory(
    "lab.yaml",
    tuple(Machine(name, Login(name), groups=groups) for name, groups in _GROUPS.items()),
    Serving(hosts=("row1",), reachable_from=("lab",)),
)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ((), "lab01 lab02 lab03 guest"),
        (("all",), "lab01 lab02 lab03 guest"),
        (("lab02",), "lab02"),
        (("row1",), "lab01 lab02"),
        (("guest,row2",), "lab03 guest"),
        (("guest", "row2"), "lab03 guest"),
        (("lab0[12]",), "lab01 lab02"),
        (("row*",), "lab01 lab02 lab03"),
        (("lab,!lab02",), "lab01 lab03"),
        (("!lab02,lab",), "lab01 lab03"),
        (("!lab",), "guest"),
        (("lab,&row2",), "lab03"),
        (("*1",), "lab01 lab02"),
        ((" lab01 , lab03 ",), "lab01 lab03"),
    ],
)
def test_a_pattern_means_machines_and_groups(patterns: tuple[str, ...], names: str) -> None:
    assert " ".join(machine.name for machine in meant(INVENTORY, patterns)) == names


@pytest.mark.parametrize("word", ["lab9", "LAB01", "row[34]", "!nobody", "&nobody", "!"])
def test_a_name_that_means_nobody_is_refused(word: str) -> None:
    with pytest.raises(NetlabError, match=r"lab\.yaml: --limit: neither a machine nor a group is called"):
        meant(INVENTORY, (word,))


def test_a_pattern_that_leaves_nobody_is_refused() -> None:
    with pytest.raises(NetlabError, match=r"lab\.yaml: --limit guest,&lab leaves no machine"):
        meant(INVENTORY, ("guest,&lab",))


def test_in_a_part_of_an_inventory_those_serve_that_do_in_the_whole() -> None:
    part = limited(INVENTORY, ("lab02", "lab03"))
    assert [machine.name for machine in part.machines] == ["lab02", "lab03"]
    assert part.serving.hosts == ("lab02",)
    assert limited(INVENTORY, ("guest",)).serving.hosts == ()

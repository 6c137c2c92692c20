"""From what files say to machines: each one's settings put together, its way worked out, everything checked.

It is done as ssh does it. A machine is looked up in the SSH configuration by its address, or without one by
its name, and what the inventory says goes before what is found there. A way of several hops is one that the
first hop may have to be reached by others for; the rest follow from one to the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from netlab.errors import InventoryError
from netlab.inventory.model import PYTHON, Inventory, Login, Machine
from netlab.inventory.names import check_host, check_machine, shown
from netlab.inventory.openssh import SshConfig
from netlab.inventory.ranges import MOST_MACHINES
from netlab.inventory.settings import MOST_HOPS, Account, Draft, Entry, Hop, Settings
from netlab.inventory.tokens import expand, expand_path
from netlab.printable import printable

_SSH_PORT = 22  # RFC 4253, 4.1


def resolve(draft: Draft, config: SshConfig, account: Account) -> Inventory:
    """Work out an inventory.

    Args:
        draft: its file.
        config: the SSH configuration that applies to its machines.
        account: who would connect.

    Raises:
        InventoryError: two machines have one name, a way leads back to itself, or a value can't be.
    """
    _check_names(draft)
    ways = _Ways(draft, config, account)
    machines = tuple(ways.machine(entry) for entry in draft.entries)
    return Inventory(draft.source, machines, draft.serving, tuple(map(printable, draft.notes)))


def _check_names(draft: Draft) -> None:
    members: dict[str, set[str]] = {}
    first: dict[str, Entry] = {}
    for entry in draft.entries:
        if (before := first.setdefault(entry.name, entry)) is not entry:
            raise _error(draft, entry, f"{shown(entry.name)} is there already, on line {before.line}")
        for group in entry.groups:
            members.setdefault(group, set()).add(entry.name)
    for entry in draft.entries:
        try:
            check_machine(entry.name)
        except ValueError as error:
            raise _error(draft, entry, str(error)) from None
        # A group of one machine by the same name means the same; any other would make the word ambiguous.
        if members.get(entry.name, {entry.name}) != {entry.name}:
            raise _error(draft, entry, f"{shown(entry.name)} is a group as well: rename one of them")
    if not draft.entries:
        raise InventoryError(draft.source, 0, "", "has no machine in it")
    if len(draft.entries) > MOST_MACHINES:
        raise InventoryError(draft.source, 0, "", f"more than {MOST_MACHINES} machines")


def _error(draft: Draft, entry: Entry, problem: str) -> InventoryError:
    return InventoryError(draft.source, entry.line, entry.key, problem)


class _Ways:
    """Finds the way to each machine of an inventory."""

    def __init__(self, draft: Draft, config: SshConfig, account: Account) -> None:
        self._draft, self._config, self._account = draft, config, account
        self._entries = {entry.name: entry for entry in draft.entries}

    def machine(self, entry: Entry) -> Machine:
        try:
            *jumps, login = self._way_to(entry.name, entry.settings, ())
        except ValueError as error:
            raise _error(self._draft, entry, str(error)) from None
        return Machine(entry.name, login, tuple(jumps), entry.groups, entry.settings.python or PYTHON)

    def _way_to(self, name: str, said: Settings, trail: tuple[str, ...]) -> tuple[Login, ...]:
        """Return the hops to a machine and its own login, the last."""
        if name in trail:
            around = " -> ".join((*trail[trail.index(name) :], name))
            raise ValueError(
                f"the way leads back to where it was ({around}): say 'none' for one that needs no jump"
            )
        if len(trail) >= MOST_HOPS:
            raise ValueError(f"the way has more than {MOST_HOPS} hops")
        lookup = said.address or name
        settings = replace(said, address=None).over(self._config.settings_for(lookup))
        login, tokens = self._login(lookup, settings)
        way: tuple[Login, ...] = ()
        for hop in settings.jump or ():
            whole = replace(hop, host=check_host(expand(hop.host, tokens) if "%" in hop.host else hop.host))
            # `ssh -J a,b host` asks b for no way of its own: that is what `-J a` says.
            way += self._way_to_hop(whole, (*trail, name)) if not way else self._way_to_hop(whole, None)
        return (*way, login)

    def _way_to_hop(self, hop: Hop, trail: tuple[str, ...] | None) -> tuple[Login, ...]:
        said = Settings(user=hop.user or None, port=hop.port, jump=None if trail is not None else ())
        if hop.listed:
            said = said.over(self._entries[hop.host].settings)
        return self._way_to(hop.host, said, trail or ())

    def _login(self, lookup: str, settings: Settings) -> tuple[Login, dict[str, str]]:
        address = lookup if settings.address is None else expand(settings.address, {"h": lookup})
        address = check_host(address if "%" in address else address.lower())
        port = settings.port or _SSH_PORT
        tokens = {"h": address, "n": lookup, "p": str(port), "r": settings.user or self._account.user}
        tokens["k"] = settings.host_key_alias or lookup
        login = Login(
            address,
            port,
            settings.user or "",
            tuple(self._files(settings.keys, tokens)),
            bool(settings.only_these_keys),
            tuple(self._files(settings.known_hosts or (), tokens)),
            settings.host_key_alias or "",
        )
        return login, tokens

    def _files(self, names: Iterable[str], tokens: dict[str, str]) -> Iterable[Path]:
        me = self._account
        own = {
            "d": str(me.home),
            "i": str(me.number),
            "l": me.machine,
            "L": me.machine.partition(".")[0],
            "u": me.user,
        }
        return (expand_path(name, tokens | own, me) for name in names)

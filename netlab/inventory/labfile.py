"""netlab's own inventory, `lab.yaml`: hosts, what they have in common, and what is served on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from netlab.inventory.model import Serving
from netlab.inventory.names import (
    check_group,
    check_host,
    check_key_alias,
    check_path,
    check_python,
    check_user,
    shown,
)
from netlab.inventory.ranges import expand
from netlab.inventory.settings import Draft, Entry, Hop, Settings, read_hops
from netlab.yamlfile import Path as Place
from netlab.yamlfile import Section, YamlFile, did_you_mean

# The file's top-level keys: by them it is known from an Ansible inventory.
KEYS = ("hosts", "defaults", "groups", "serve")

# A secret in a file is one that is copied, committed and sent: netlab asks for what it needs.
_SECRETS = ("password", "pass", "passphrase", "sudo_password", "become_password")

# The controller is the machine that netlab runs on.
_CONTROLLER = "controller"


def _one_as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _nothing_as_mapping(value: Any) -> Any:
    return {} if value is None else value


def _check_listening_address(text: str) -> str:
    return text if text == "*" else check_host(text)


def _check_directory(text: str) -> str:
    return check_path(text.removeprefix("~/"))


User = Annotated[str, AfterValidator(check_user)]
Port = Annotated[int, Field(ge=1, le=65535)]
Paths = Annotated[list[Annotated[str, AfterValidator(check_path)]], BeforeValidator(_one_as_list)]
Texts = Annotated[list[str], BeforeValidator(_one_as_list)]
GroupName = Annotated[str, AfterValidator(check_group)]
ListenAddresses = Annotated[
    list[Annotated[str, AfterValidator(_check_listening_address)]],
    BeforeValidator(_one_as_list),
    Field(min_length=1),
]


class ReachSection(Section):
    """How machines are reached.

    Attributes:
        key: one private key file; `~` is one's home, and other names are relative to the file.
        keys: several, tried in their order.
        only_these_keys: neither the agent's nor the default ones.
        known_hosts: the files with the accepted host keys.
        host_key_alias: what these files call the machine.
        jump: hosts of this file or `[user@]host[:port]`, the first one first; `none` for no way round.
    """

    user: User | None = None
    port: Port | None = None
    key: Annotated[str, AfterValidator(check_path)] | None = None
    keys: Paths | None = None
    only_these_keys: bool | None = None
    known_hosts: Paths | None = None
    host_key_alias: Annotated[str, AfterValidator(check_key_alias)] | None = None
    jump: Texts | None = None
    python: Annotated[str, AfterValidator(check_python)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_secrets(cls, value: Any) -> Any:
        for key in value if isinstance(value, dict) else ():
            if key in _SECRETS:
                problem = "no secret is read from a file: netlab asks for it once, or use a key"
                raise PydanticCustomError("unknown_key", "{problem}", {"key": key, "problem": problem})
        if isinstance(value, dict) and "key" in value and "keys" in value:
            problem = "there is 'keys' as well: keep one of them"
            raise PydanticCustomError("unknown_key", "{problem}", {"key": "key", "problem": problem})
        return value


class HostSection(ReachSection):
    """A machine, or a range of them.

    Attributes:
        address: a name or an address; in a range, one with as many in its own.
        groups: what it belongs to.
    """

    address: str | None = None
    groups: Annotated[list[GroupName], BeforeValidator(_one_as_list)] = Field(default_factory=list)


class ServeSection(Section):
    """What is served on the machines; see `Serving`."""

    hosts: Texts | None = None
    addresses: ListenAddresses | None = None
    port: Port | None = None
    directory: Annotated[str, AfterValidator(_check_directory)] | None = None
    reachable_from: Texts | None = None
    not_from: Texts | None = None
    keep: Annotated[int, Field(ge=0, le=100)] | None = None


class LabSection(Section):
    """The file."""

    hosts: Annotated[
        dict[str, Annotated[HostSection, BeforeValidator(_nothing_as_mapping)]], Field(min_length=1)
    ]
    defaults: Annotated[ReachSection, BeforeValidator(_nothing_as_mapping)] = ReachSection()
    groups: dict[GroupName, Annotated[ReachSection, BeforeValidator(_nothing_as_mapping)]] = Field(
        default_factory=dict
    )
    serve: Annotated[ServeSection, BeforeValidator(_nothing_as_mapping)] = ServeSection()


def read_lab(file: YamlFile, folder: Path, elsewhere: Collection[str]) -> Draft:
    """Read a lab file.

    Args:
        file: its YAML.
        folder: what names of keys are relative to.
        elsewhere: hosts that the SSH configuration knows by name, and that a jump may name, too.

    Raises:
        InventoryError: it says something that can't be followed.
    """
    lab = file.validate(LabSection, "a lab file, with keys such as hosts and defaults")
    return _Lab(file, lab, folder, elsewhere).draft()


class _Lab:
    """Looks up what the file's names mean."""

    def __init__(self, file: YamlFile, lab: LabSection, folder: Path, elsewhere: Collection[str]) -> None:
        self._file, self._lab, self._folder, self._elsewhere = file, lab, folder, elsewhere
        self._names = {pattern: self._expanded(("hosts", pattern), pattern) for pattern in lab.hosts}
        self._machines = {name for names in self._names.values() for name in names}
        self._groups = {*lab.groups, *(group for host in lab.hosts.values() for group in host.groups)}

    def draft(self) -> Draft:
        entries = [entry for pattern in self._lab.hosts for entry in self._entries(pattern)]
        self._check_groups()
        return Draft(self._file.name, tuple(entries), self._serving())

    def _expanded(self, place: Place, pattern: str) -> tuple[str, ...]:
        try:
            return expand(pattern)
        except ValueError as error:
            raise self._file.error(place, str(error)) from None

    def _check_groups(self) -> None:
        used = {group for host in self._lab.hosts.values() for group in host.groups}
        for group in self._lab.groups:
            if group not in used:
                raise self._file.error(
                    ("groups", group),
                    f"no host is in this group{did_you_mean(group, used)}: write it at the hosts",
                )

    # Hosts

    def _entries(self, pattern: str) -> Iterable[Entry]:
        host, place = self._lab.hosts[pattern], ("hosts", pattern)
        if len(set(host.groups)) < len(host.groups):
            raise self._file.error((*place, "groups"), "names a group twice")
        own = self._settings(place, host)
        common = self._of_groups(place, host, own)
        line = self._file.line(place)
        for name, address in zip(self._names[pattern], self._addresses(pattern, host), strict=True):
            settings = Settings(address=address).over(own).over(self._without_itself(name, common))
            # Keys of ssh's files add up; of the file's own sections the nearest counts.
            settings = _with_keys(settings, own.keys or common.keys)
            yield Entry(name, settings, tuple(host.groups), line, f"hosts.{pattern}")

    def _addresses(self, pattern: str, host: HostSection) -> tuple[str | None, ...]:
        names, place = self._names[pattern], ("hosts", pattern, "address")
        if host.address is None:
            return (None,) * len(names)
        addresses = self._expanded(place, host.address)
        if len(names) != len(addresses):
            raise self._file.error(
                place,
                f"{shown(host.address)} means {_counted(len(addresses), 'address', 'addresses')} and "
                f"{shown(pattern)} {_counted(len(names), 'machine', 'machines')}: give both the same range",
            )
        try:
            return tuple(map(check_host, addresses))
        except ValueError as error:
            raise self._file.error(place, str(error)) from None

    def _of_groups(self, place: Place, host: HostSection, own: Settings) -> Settings:
        """Return what the host's groups say, over the defaults; groups must not disagree."""
        said: dict[str, tuple[str, object]] = {}
        common = Settings()
        for group in host.groups:
            section = self._lab.groups.get(group, ReachSection())
            settings = self._settings(("groups", group), section)
            for key, value in _said(settings):
                before, other = said.setdefault(key, (group, value))
                if other != value and key not in dict(_said(own)):
                    raise self._file.error(
                        (*place, "groups"),
                        f"{before} and {group} say different things about {key}: say it here",
                    )
            common = _with_keys(common.over(settings), common.keys or settings.keys)
        defaults = self._settings(("defaults",), self._lab.defaults)
        return _with_keys(common.over(defaults), common.keys or defaults.keys)

    def _settings(self, place: Place, said: ReachSection) -> Settings:
        keys = said.keys if said.keys is not None else [said.key] if said.key is not None else []
        return Settings(
            user=said.user,
            port=said.port,
            keys=tuple(map(self._from_folder, keys)),
            only_these_keys=said.only_these_keys,
            known_hosts=None if said.known_hosts is None else tuple(map(self._from_folder, said.known_hosts)),
            host_key_alias=said.host_key_alias,
            jump=None if said.jump is None else self._jump((*place, "jump"), said.jump),
            python=said.python,
        )

    def _from_folder(self, name: str) -> str:
        """Return a path that does not depend on where netlab is started; tokens are still to be expanded."""
        folder = "" if name.startswith(("/", "~", "%d", "${")) else str(self._folder).replace("%", "%%")
        return f"{folder}/{name}" if folder else name

    def _jump(self, place: Place, said: list[str]) -> tuple[Hop, ...]:
        try:
            hops = read_hops(",".join(said))
        except ValueError as error:
            raise self._file.error(place, str(error)) from None
        return tuple(self._hop(place, hop) for hop in hops)

    def _hop(self, place: Place, hop: Hop) -> Hop:
        if hop.host in self._machines:
            return Hop(hop.host, hop.user, hop.port, listed=True)
        bare = not hop.user and hop.port is None and not set(hop.host) & {".", ":", "%"}
        if bare and hop.host not in self._elsewhere:
            raise self._file.error(
                place,
                f"no host is called {shown(hop.host)}{did_you_mean(hop.host, self._machines)}: "
                "name one of this file or of the SSH configuration, or write user@host:port",
            )
        return hop

    def _without_itself(self, name: str, common: Settings) -> Settings:
        """Return the settings for a machine that may be on the common way: it needs what is before it."""
        for index, hop in enumerate(common.jump or ()):
            if hop.listed and hop.host == name and common.jump:
                return Settings(jump=common.jump[:index]).over(common)
        return common

    # What is served

    def _serving(self) -> Serving:
        said, default = self._lab.serve, Serving()
        serving = Serving(
            hosts=self._list("hosts", said.hosts, default.hosts),
            addresses=default.addresses if said.addresses is None else tuple(said.addresses),
            port=said.port or default.port,
            directory=said.directory or default.directory,
            reachable_from=self._list("reachable_from", said.reachable_from, (), _CONTROLLER),
            not_from=self._list("not_from", said.not_from, (), _CONTROLLER),
            keep=default.keep if said.keep is None else said.keep,
        )
        if both := self._meant(serving.reachable_from) & self._meant(serving.not_from):
            raise self._file.error(
                ("serve", "not_from"), f"{min(both)} is in reachable_from as well: it can't be both"
            )
        return serving

    def _list(
        self, key: str, names: list[str] | None, default: tuple[str, ...], *more: str
    ) -> tuple[str, ...]:
        known = {"all", *more, *self._machines, *self._groups}
        names = (
            [*default]
            if names is None
            else [n for name in names for n in self._expanded(("serve", key), name)]
        )
        for name in names:
            if name not in known:
                what = "host or group" if not more else f"host or group, nor {' or '.join(more)},"
                raise self._file.error(
                    ("serve", key), f"no {what} is called {shown(name)}{did_you_mean(name, known)}"
                )
        return tuple(dict.fromkeys(names))

    def _meant(self, names: tuple[str, ...]) -> set[str]:
        """Return the machines, and the controller, that a list means."""
        groups = {name: self._lab.hosts[p].groups for p, all_of in self._names.items() for name in all_of}
        wanted = set(names)
        meant = {name for name in self._machines if wanted & {"all", name, *groups[name]}}
        return meant | (wanted & {_CONTROLLER})


def _with_keys(settings: Settings, keys: tuple[str, ...]) -> Settings:
    return replace(settings, keys=keys)


def _said(settings: Settings) -> list[tuple[str, object]]:
    """Return what settings say, by key."""
    names = ("user", "port", "keys", "only_these_keys", "known_hosts", "host_key_alias", "jump", "python")
    return [(name, value) for name in names if (value := getattr(settings, name)) not in (None, ())]


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"

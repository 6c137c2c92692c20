"""What a `netlab.yaml` can't mean of a service's start: nobody starts it, or it is not told what a bind says.

Most are slips of the pen, after which the service would run as if nothing had been said: `{adress}`; a
`device` that no option tells.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.checks import NONCE
from netlab.expectations.labs import ComposeFileLab, LabChoice, MadeLab
from netlab.expectations.schema import CheckedBindSection, CheckedServiceSection, CheckFileSection
from netlab.experiments.templates import asks_for, slip_in_argument, slip_in_text, untold
from netlab.yamlfile import Path, YamlFile

Problem = tuple[Path, str]


def check_startable(file: YamlFile, said: CheckFileSection, lab: LabChoice) -> None:
    """Refuse a service that nobody starts or could recognise, or that is not told what its binds say.

    Args:
        file: to point into.
        said: its values.
        lab: where the check takes place.

    Raises:
        FileError: the first thing that is wrong.
    """
    for path, problem in _problems(said, lab):
        raise file.error(path, problem)


def _problems(said: CheckFileSection, lab: LabChoice) -> Iterator[Problem]:
    service = said.service
    for name, bind in said.binds.items():
        if isinstance(lab, MadeLab):
            yield from _in_a_made_lab(name, bind, service)
        else:
            yield from _in_a_lab_that_is_there(bind, service, lab)
    for path, argument in _arguments(said):
        if problem := slip_in_argument(argument):
            yield path, problem
    yield from _about_files(said)
    for name, bind in said.binds.items():
        if bind.command or service.command or service.image:
            yield from _untold(("binds", name), bind, service)
    yield from _alike(said)


def _in_a_made_lab(name: str, bind: CheckedBindSection, service: CheckedServiceSection) -> Iterator[Problem]:
    if bind.host is not None:
        yield ("binds", name, "host"), "in a lab that is made, a bind has a host of its own"
    if (service.command or service.image or bind.command) is None:
        yield ("service",), "command or image is missing: nothing runs yet in a lab that is made"


def _in_a_lab_that_is_there(
    bind: CheckedBindSection, service: CheckedServiceSection, lab: LabChoice
) -> Iterator[Problem]:
    if service.image is not None:
        yield ("service", "image"), "goes with a lab that is made; here the hosts are there"
    elif bind.command is None and service.command is None:
        given = isinstance(lab, ComposeFileLab)
        if not given and (bind.check or service.check).kind == "hftp":
            problem = "hftp recognises a server that netlab starts, by a file of this run: take tcp"
            yield ("service", "check"), problem


def _arguments(said: CheckFileSection) -> Iterator[tuple[Path, str]]:
    """Yield every argument that a service may be started with, and where it stands."""
    service = said.service
    lists: dict[Path, list[str]] = {
        ("service", "command"): service.command or [],
        ("service", "options", "v6only"): service.options.v6only,
        ("service", "options", "device"): service.options.device,
        **{("binds", name, "command"): bind.command or [] for name, bind in said.binds.items()},
    }
    for path, arguments in lists.items():
        yield from (((*path, index), argument) for index, argument in enumerate(arguments))


def _about_files(said: CheckFileSection) -> Iterator[Problem]:
    files, here = said.service.files, ("service", "files")
    for name, content in files.items():
        if problem := slip_in_text(content):
            yield (*here, name), problem
        if said.service.image is not None and asks_for(content, "nonce"):
            problem = f"a container starts before the run: {NONCE} is in {{data}}/netlab-nonce, to read then"
            yield (*here, name), problem
    if files and not any(asks_for(argument, "data") for _, argument in _arguments(said)):
        yield here, "no command names them: they are in {data}"


def _untold(here: Path, bind: CheckedBindSection, service: CheckedServiceSection) -> Iterator[Problem]:
    """Yield what a bind says and nothing tells the service, and the other way round."""
    command = bind.command or service.command or []
    for key, problem in untold([*command, *service.files.values()], dict(service.options)):
        in_its_own_words = key == "v6only" and (bind.command or bind.as_)
        if getattr(bind, key) and not in_its_own_words:
            yield (*here, key), problem
    if bind.device is None and any(asks_for(argument, "device") for argument in command):
        yield here, "its command has {device}, and it has no device: say which"


def _alike(said: CheckFileSection) -> Iterator[Problem]:
    """Yield the binds that listen elsewhere than others, and yet are started in the same way."""
    service = said.service
    if not service.command or any(
        _tells_address(text) for text in (*service.command, *service.files.values())
    ):
        return
    first: dict[tuple[object, ...], tuple[str, str]] = {}
    for name, bind in said.binds.items():
        if bind.command or not bind.address:
            continue
        # Options tell them apart, too: `v6only: ["-6"]`.
        told = (bind.port or service.port, bind.v6only, bind.device)
        other, address = first.setdefault(told, (name, bind.address))
        if address != bind.address:
            problem = f"is started just like {other}, which listens on {address}"
            yield ("binds", name), f"{problem}: put {{address}} or {{endpoint}} into service.command"


def _tells_address(text: str) -> bool:
    return asks_for(text, "address") or asks_for(text, "endpoint")

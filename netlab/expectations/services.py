"""The service behind each bind of a `netlab.yaml`: the file's, but for what the bind says of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from netlab.expectations.schema import CheckFileSection
from netlab.experiments.checking import check_of
from netlab.experiments.plan import Service
from netlab.experiments.transporting import check_works, transport_of
from netlab.yamlfile import YamlFile


def usual_service(file: YamlFile, said: CheckFileSection, folder: Path) -> Service:
    """Return the service of a file, as far as no bind says otherwise.

    Args:
        file: to point into.
        said: its values.
        folder: what files that it names are relative to.

    Raises:
        FileError: nobody could recognise it.
    """
    service = said.service
    return Service(
        port=service.port,
        check=check_of(service.check, file, ("service", "check"), folder),
        command=tuple(service.command or ()),
        v6only=tuple(service.options.v6only),
        device=tuple(service.options.device),
        files=service.files,
        transport=transport_of(service, file, ("service",)),
    )


def services_of(file: YamlFile, said: CheckFileSection, folder: Path) -> Mapping[str, Service]:
    """Return the service of each bind, by the bind's name.

    Args:
        file: to point into.
        said: its values.
        folder: what files that it names are relative to.

    Raises:
        FileError: nobody could recognise one.
    """
    usual = usual_service(file, said, folder)
    return {name: _service(file, said, folder, name, usual) for name in said.binds}


def _service(file: YamlFile, said: CheckFileSection, folder: Path, name: str, usual: Service) -> Service:
    bind, here = said.binds[name], ("binds", name)
    own = check_of(bind.check, file, (*here, "check"), folder) if bind.check else None
    transport = transport_of(bind, file, here, said.service)
    where = (*here, "check") if own else (*here, "protocol") if bind.protocol else ("service", "check")
    check_works(own or usual.check, transport.protocol, file, where)
    return replace(
        usual,
        port=bind.port or usual.port,
        check=own or usual.check,
        transport=transport,
        command=usual.command if bind.command is None else tuple(bind.command),
    )

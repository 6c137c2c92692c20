"""What of a scanned lab is exposed beyond the engine's machine, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from netlab.facts import Engine, Listener, Publication, major_of
from netlab.model import Protocol, endpoint
from netlab.report.furthest import furthest
from netlab.scan import Scan, Service

# The first version that drops what another machine sends to a container's own address, and to a port that is
# published on 127.0.0.1 (Docker Engine 28.0 release notes).
_GUARDS_LOOPBACK_SINCE = 28


def beyond(scan: Scan) -> tuple[str, ...]:
    """Return a line for each way in from another machine, and what is met there."""
    if scan.engine is None:
        return ()
    lines = (*_published(scan, scan.engine), *_unguarded(scan.engine), *_of_the_machine(scan, scan.engine))
    return lines or ("nothing: no port is published, but on 127.0.0.1 at most",)


def _published(scan: Scan, engine: Engine) -> Iterator[str]:
    found = {(service.host, service.port): service for service in scan.services}
    for publication in engine.publications:
        if publication.address.is_loopback:
            continue
        at = endpoint(publication.address, publication.port)
        if publication.protocol is Protocol.UDP:
            inside = f"{publication.host}:{publication.inside}/udp"
            yield f"{at}/udp leads {_who(publication)} to {inside}, which was not asked"
            continue
        service = found.get((publication.host, publication.inside))
        if service is None:
            yield f"{at} leads to {publication.host}:{publication.inside}, where nothing listens"
        else:
            met = _met(scan, engine, service, publication)
            yield f"{at} leads {_who(publication)} to {service.name}: {met}"


def _who(publication: Publication) -> str:
    if publication.address.is_unspecified:
        return "any machine that reaches this one"
    return "any machine that reaches that address"


def _met(scan: Scan, engine: Engine, service: Service, publication: Publication) -> str:
    """Return what came of dialling it at an address that others would dial."""
    dials = [
        cell
        for cell in scan.between(service, engine.host)
        if cell.target.port == publication.port
        and ip_address(cell.target.address).version == publication.address.version
    ]
    # This machine may have no other address of that family.
    met = furthest(cell for cell in dials if not ip_address(cell.target.address).is_loopback) or furthest(
        dials
    )
    if met is None:
        return "not measured"
    remedy = f"; to open it: {met.prediction.remedy}" if met.prediction.remedy else ""
    return f"{met.observation.outcome} at {met.target.address}{remedy}"


def _unguarded(engine: Engine) -> Iterator[str]:
    """Yield the ports that are published on 127.0.0.1, and yet can be dialled on the same link."""
    if major_of(engine.version) >= _GUARDS_LOOPBACK_SINCE:
        return
    for publication in engine.publications:
        if publication.address.is_loopback:
            at, inside = endpoint(publication.address, publication.port), publication.inside
            yield (
                f"{at} is for this machine alone, but a neighbour on its link that routes packets for"
                f" {publication.host} to it reaches port {inside} there: Docker {engine.version} lets"
                " them pass, 28 does not"
            )


def _of_the_machine(scan: Scan, engine: Engine) -> Iterator[str]:
    for service in scan.services:
        if service.host == engine.host:
            open_to_others = [own for own in service.listeners if not own.address.is_loopback]
            yield from (_own_line(own, engine) for own in open_to_others)


def _own_line(own: Listener, engine: Engine) -> str:
    sharing = " and ".join(engine.sharing)
    at = endpoint(own.address, own.port)
    return (
        f"{at} is a socket of this machine, or of {sharing}, which shares its network: no port is published"
    )

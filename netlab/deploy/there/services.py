"""Which of the ways to run a release is taken on this host."""

from __future__ import annotations

from netlab.deploy.there.containers import Container
from netlab.deploy.there.problems import ProblemError
from netlab.deploy.there.supervised import Supervised
from netlab.deploy.there.systemd import NO_SYSTEMD, Systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.deploy.there.releases import Store
    from netlab.deploy.there.service import Service


def choose_service(store: Store, name: str, wanted: str) -> tuple[Service, str]:
    """Return what is to run a release here, and why not a unit, where systemd runs.

    Args:
        store: the releases.
        name: the release.
        wanted: of one that is a program: `auto`, `systemd` or `supervised`.

    Raises:
        ProblemError: what is wanted is not there.
    """
    if store.is_image(name):
        return Container(store), ""
    if wanted == Supervised.method:
        return Supervised(store), ""
    why_not = Systemd.why_not()
    if not why_not:
        return Systemd(store), ""
    if wanted == Systemd.method:
        raise ProblemError(f"no systemd unit is possible: {why_not}")
    return Supervised(store), "" if why_not == NO_SYSTEMD else f"no systemd unit: {why_not}"


def recorded_service(store: Store) -> Service:
    """Return what runs the server that was deployed here."""
    try:
        with open(store.path("method"), encoding="ascii") as file:
            method = file.read().strip()
    except OSError:
        method = ""
    return {Systemd.method: Systemd, Container.method: Container}.get(method, Supervised)(store)

"""A release on trial: it is switched to, and kept, or the one before comes back."""

from __future__ import annotations

import os
import time

from netlab.deploy.there.checks import served_directory
from netlab.deploy.there.containers import Container
from netlab.deploy.there.files import write_whole
from netlab.deploy.there.health import HEALTHY_WITHIN_S, health, try_out, with_last_words
from netlab.deploy.there.kernel import wait_until
from netlab.deploy.there.problems import ProblemError, in_words
from netlab.deploy.there.releases import GOOD, checked_id
from netlab.deploy.there.services import choose_service, recorded_service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from netlab.deploy.there.journal import Journal
    from netlab.deploy.there.releases import Store
    from netlab.deploy.there.service import Service

    Json = dict[str, Any]

# How long it must have run before it is believed to go on: longer than what fails late at its start takes.
SETTLED_S = 1.0


class Trial:
    """What runs, and what to go back to.

    Args:
        store: the releases.
        journal: where changes are written down.

    Attributes:
        service: what runs the current release.
    """

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store, self._journal = store, journal
        self.service = recorded_service(store)
        self._open = False  # whether a release was switched to that is not confirmed
        self._before = ""  # the release to go back to
        self._served_by: Service = self.service  # and what ran it

    def end(self) -> None:
        """Take back what was not confirmed."""
        if self._open:
            self.revert({"why": "the deployment ended before it was confirmed"})

    def switch(self, request: Json) -> Json:
        """Run a release that is here; go back by itself if it is not healthy.

        Returns:
            `healthy`; otherwise `problem`, and in `back` the release that runs again, empty for none.
        """
        name = checked_id(request["release"])
        if not self.is_whole(name):
            raise ProblemError(f"release {name[:12]} is not here, or damaged")
        service, no_unit = choose_service(self._store, name, request["method"])
        previous = [good for good in self._store.good() if good != name and self.is_whole(good)]
        self._before, self._served_by = previous[0] if previous else "", self.service
        os.makedirs(served_directory(self._store.manifest(name)["serve"]), exist_ok=True)
        serves_already = self._store.current() == name and not self.health(name)
        if self.service.pid() and not serves_already:
            problem = try_out(service, name)
            if problem:
                self._journal.write("refused", name, problem)
                self._discard(name)
                return {"healthy": False, "problem": problem, "back": self._store.current(), "never": True}
        self._open = True
        try:
            note = self._change_to(name, service)
        except (ProblemError, OSError) as error:
            problem = in_words(error)
            return {"healthy": False, "problem": problem, **self.revert({"why": problem})}
        return {"healthy": True, "notes": [text for text in (no_unit, note) if text]}

    def _change_to(self, name: str, service: Service) -> str:
        """Stop what runs, switch, start, and wait until it is healthy.

        Raises:
            ProblemError: it is not.
        """
        if self._store.current() == name and service.method == self.service.method and not self.health(name):
            return ""
        self.service.stop()
        if service.method != self.service.method:
            self.service.disable()
        self.service = service
        write_whole(self._store.path("method"), service.method.encode())
        self._store.point(name)
        service.start()
        self._wait_healthy(name)
        return service.enable()

    def _wait_healthy(self, name: str) -> None:
        problem = "it was not asked"

        def settled() -> bool:
            nonlocal problem
            problem = self.health(name)
            return not problem or self.service.restarts() >= 2

        wait_until(settled, HEALTHY_WITHIN_S)
        if problem:
            raise ProblemError(with_last_words(self.service, problem))

    def revert(self, request: Json) -> Json:
        """Go back to the release before, or to none; return which one runs now."""
        failed, back = self._store.current(), self._before
        self._open = False
        problem = ""
        self._journal.write("took back", failed, str(request.get("why", "")))
        try:
            if back:
                fits = self._served_by.runs_images == self._store.is_image(back)
                service = self._served_by if fits else choose_service(self._store, back, "auto")[0]
                self._change_to(back, service)
            else:
                self.service.stop()
                self.service.disable()
                self._store.point("")
        except (ProblemError, OSError) as error:
            problem = in_words(error)
        if failed != back:
            self._discard(failed)
        return {"back": back, "back_problem": problem}

    def confirm(self, request: Json) -> Json:
        """Keep the release that runs: it is one to go back to from now on.

        Raises:
            ProblemError: it does not serve any more.
        """
        current = self._store.current()
        if self._open:
            wait_until(self._has_settled, HEALTHY_WITHIN_S)
        problem = self.health(current)
        if not problem and self.service.restarts() and self._open:
            problem = f"it ended and had to be started again ({self.service.ended()})"
        if problem:
            raise ProblemError(with_last_words(self.service, problem))
        write_whole(os.path.join(self._store.release(current), GOOD), b"")
        if self._open:
            self._journal.write("deployed", current, f"before: {self._before[:12] or 'nothing'}")
        self._open = False
        kept = self._store.prune(int(request["keep"]))
        self._tidy()
        return {"kept": kept}

    def _has_settled(self) -> bool:
        """Whether the server has run for a while, or has ended: some live just long enough to answer."""
        return time.time() - self.service.since() > SETTLED_S or self.service.restarts() > 0

    def _discard(self, name: str) -> None:
        """Remove a release that failed, unless it is one that was good before."""
        if name in self._store.names() and name not in (self._store.current(), *self._store.good()):
            self._store.drop(name)
            self._tidy()

    def _tidy(self) -> None:
        """Remove the containers of releases that are gone."""
        if Container.was_here(self._store):
            Container(self._store).sweep(self._store.names())

    def is_whole(self, name: str) -> bool:
        """Whether everything of a release is here: its files, or its containers."""
        store = self._store
        return store.is_whole(name) and (not store.is_image(name) or Container(store).is_there(name))

    def health(self, name: str) -> str:
        """Return what is wrong with a release that should run; empty if it serves."""
        return health(self._store, self.service, name)

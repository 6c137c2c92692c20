"""The steps of a rollout on one machine: look, put a release there, offer proof, settle; or remove all of it.

A step that fails raises; one that settles how the machine ended up says so to its `Work`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from netlab.checks import Hftp
from netlab.deploy.answers import Done, Earlier, Offered, Removed, Reverted
from netlab.deploy.gate import Judgement
from netlab.deploy.machine import MachineError
from netlab.deploy.release import Release, short
from netlab.deploy.result import State
from netlab.deploy.work import Terms, Work


def look(work: Work, terms: Terms) -> None:
    """Take the lock, and see what is there and what stands against a change."""
    if not terms.check:
        work.there.lock(terms.who)
    work.seen = work.there.survey(work.release.described if work.release is not None else None)
    if work.release is None:
        work.target = work.there.ask(Earlier, "rollback", {"to": work.target}).id
        return
    work.target = work.release.id
    if work.known.problems:
        work.end(State.FAILED, work.known.current, "; ".join(work.known.problems))
    elif terms.check:
        _say_what_would_change(work, terms, work.release)


def _say_what_would_change(work: Work, terms: Terms, release: Release) -> None:
    would = []
    if not work.known.here:
        would.append(f"upload release {short(release.id)}")
    if work.known.current != release.id:
        before = f", instead of {short(work.known.current)}" if work.known.current else ""
        would.append(f"run release {short(release.id)}{before}")
    elif work.known.health:
        would.append(f"start it again: {work.known.health}")
    elif release.id not in work.known.good:
        would.append("confirm the release that runs")
    changed, extra = _compare(work, terms, release)
    if changed:
        would.append(f"send {_counted(changed)}")
    if extra and terms.delete:
        would.append(f"remove {_counted(extra)}")
    state = State.WOULD_CHANGE if would else State.UNCHANGED
    work.end(state, work.known.current, "; ".join(would))


def _compare(work: Work, terms: Terms, release: Release) -> tuple[list[str], list[str]]:
    if terms.data is None:
        return [], []
    compared = work.there.compare(release.directory, terms.data.described())
    changed = [name for name in terms.data.files if name in compared.changed]
    needed = sum(terms.data.sizes[name] for name in changed)
    if needed > compared.free:
        raise MachineError(
            f"the disk is full: {compared.free >> 10} KiB free, {needed >> 10} needed for --data"
        )
    return changed, list(compared.extra)


def put(work: Work, terms: Terms) -> None:
    """Upload what is missing, and switch to it."""
    release = work.release
    if release is not None:
        if not work.known.here:
            release.send(work.there)
        _put_data(work, terms, release)
        serves = work.known.current == release.id and not work.known.health
        if serves and work.known.here and release.id in work.known.good:
            return
    answer = work.there.switch(work.target, terms.method)
    if not answer.healthy:
        said = _gone_back(answer.problem, answer.back, answer.back_problem, answer.never)
        work.end(State.WENT_BACK, answer.back, said)
        return
    work.switched = True
    work.notes += answer.notes
    before = short(work.known.current)
    if work.known.current == work.target:
        work.done.append("confirmed" if not work.known.health else f"started again ({work.known.health})")
    else:
        work.done.append(f"before: {before or 'nothing'}")


def _put_data(work: Work, terms: Terms, release: Release) -> None:
    data = terms.data
    if data is None:
        return
    changed, work.extra = _compare(work, terms, release)
    if changed:
        files: dict[str, Path] = {name: data.files[name] for name in changed}
        work.there.send_files(release.directory, files, data.digests, lambda count: None)
        work.done.append(f"{_counted(changed)} sent")


def offer(work: Work) -> None:
    """Have the machine prove who it is to whoever dials it."""
    if work.release is None or work.switched:
        work.seen = work.there.survey()
    if work.known.serve is None:
        raise MachineError("its release is damaged: nothing says how it serves")
    nonce = secrets.token_hex(16)
    try:
        file = work.there.ask(Offered, "offer", {"name": secrets.token_hex(32), "nonce": nonce}).file
        work.check = Hftp(file, nonce)
    except MachineError as error:
        work.notes.append(f"who answers is not proved, as no file can be put there: {error}")


def settle(work: Work, terms: Terms, judgement: Judgement) -> None:
    """Keep the release, or take it back."""
    if judgement.violations:
        _refuse(work, judgement.problem)
        return
    work.there.ask(Done, "withdraw")
    if work.switched:
        try:
            work.there.ask(Done, "confirm", {"keep": terms.keep})
        except MachineError as error:
            _refuse(work, str(error))
            return
    if work.release is not None and terms.delete and work.extra:
        work.there.ask(Done, "delete", {"directory": work.release.directory, "names": work.extra})
        work.done.append(f"{_counted(work.extra)} removed")
    if judgement.not_measured:
        first = "; ".join(judgement.not_measured[:2])
        work.end(
            State.NOT_MEASURED,
            work.target,
            f"{', '.join([*work.done, 'it serves'])}, but not tried {first}",
        )
        return
    reached = f"as wanted from {judgement.passed} vantages" if judgement.passed else ""
    said = ", ".join([*work.done, *([reached] if reached else [])])
    work.end(State.DEPLOYED if work.done else State.UNCHANGED, work.target, said)


def _refuse(work: Work, problem: str) -> None:
    if not work.switched:
        work.end(State.VIOLATED, work.target, problem)
        return
    answer = work.there.ask(Reverted, "revert", {"why": problem}, 90.0)
    work.end(State.WENT_BACK, answer.back, _gone_back(problem, answer.back, answer.back_problem, never=False))


def remove(work: Work, terms: Terms) -> None:
    """Remove everything but the data."""
    if terms.check:
        current = work.there.survey().current
        state = State.WOULD_CHANGE if current else State.UNCHANGED
        work.end(state, current, "remove it" if current else "")
        return
    work.there.lock(terms.who)
    there = work.there.ask(Removed, "undeploy", timeout_s=60.0).there
    work.end(State.REMOVED if there else State.UNCHANGED, "", "" if there else "nothing is deployed")


def _gone_back(problem: str, back: str, back_problem: str, never: bool) -> str:
    if never:
        return f"{problem}; {short(back)} ran all the time"
    where = f"back on {short(back)}" if back else "nothing runs there now"
    return f"{problem}; {where}" + (f", which is not healthy: {back_problem}" if back_problem else "")


def _counted(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} files"

"""What differs between the binds, and why, in sentences: computed from the matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from netlab.experiments.plan import SERVER
from netlab.facts import Facts, Listener
from netlab.matrix import Matrix
from netlab.model import Bind, Cell, Outcome, Protocol, Step, Verdict

Column = tuple[str, str]


def differences(matrix: Matrix) -> list[tuple[str, str]]:
    """Return for each bind its name, and what it listens on, who gets through, and what the others get."""
    same = _same_for_all(matrix)
    return [(bind.name, " ".join(_about(matrix, bind, same))) for bind in matrix.experiment.binds]


def constants(matrix: Matrix) -> list[tuple[str, str]]:
    """Return what no bind changes: for each vantage the targets that share an outcome and its reason."""
    groups: dict[tuple[str, Outcome, str], list[str]] = defaultdict(list)
    for cell in _same_for_all(matrix).values():
        if cell.observation.outcome is not None:
            groups[cell.vantage, cell.observation.outcome, _why(cell)].append(cell.target.name)
    return [
        (vantage, f"{_listed(targets)}: {outcome}: {reason}.")
        for (vantage, outcome, reason), targets in groups.items()
    ]


def _same_for_all(matrix: Matrix) -> dict[Column, Cell]:
    """Return the columns in which every bind that listens has the same outcome, with one cell of each."""
    columns: dict[Column, list[Cell]] = defaultdict(list)
    for cell in matrix.cells:
        if cell.prediction.outcome.verdict is not Verdict.NOT_BOUND:
            columns[cell.vantage, cell.target.name].append(cell)
    return {
        column: cells[0]
        for column, cells in columns.items()
        if len(cells) > 1 and len({cell.observation.outcome for cell in cells}) == 1
    }


def refusal(matrix: Matrix) -> list[str]:
    """Return why a dial from another host is refused, shown on the first that is: a line, or none."""
    for cell in matrix.cells:
        refused = cell.observation.outcome == Outcome(Verdict.REFUSED)
        arrived = [step for step in cell.prediction.reason if step.kind == "listener"]
        if refused and cell.vantage != SERVER and arrived and arrived[-1].host == cell.bind.host:
            dialled = f"the {cell.target.name} of the server on {cell.bind.name}"
            return [
                "Refused means that the packet arrived and no socket took it. When "
                f"{cell.vantage} dials {dialled}, there is {arrived[-1].text}: the kernel "
                f"answers with {_NOBODY[cell.protocol]}."
            ]
    return []


# What a kernel answers with where no socket takes a packet.
_NOBODY = {
    Protocol.TCP: "a reset (RFC 9293, 3.10.7.1)",
    Protocol.UDP: "an ICMP error, port unreachable (RFC 1122, 4.1.3.1; RFC 4443, 3.1)",
}


def _about(matrix: Matrix, bind: Bind, same: dict[Column, Cell]) -> Iterable[str]:
    cells = [cell for cell in matrix.cells if cell.bind == bind]
    facts, service = matrix.facts_of(bind), matrix.experiment.service_of(bind)
    sockets = facts.sockets(service.transport.protocol)
    listeners = [listener for listener in sockets if listener.port == service.port]
    if not listeners:
        yield f"{_not_listening(cells[0])}."
        return
    yield from _name_taken(bind, facts)
    meanings = _listed(_meaning(matrix, bind, facts, listener) for listener in listeners)
    yield f"{meanings}: {_who(cells, same)}."
    yield from _hung_up(cells)
    yield from _from_elsewhere(cells)


def _not_listening(cell: Cell) -> str:
    if cell.prediction.outcome.verdict is Verdict.NOT_BOUND:
        return f"The server can't listen: {_decisive(cell).text}"
    return f"Nothing listens: {cell.observation.not_measured or 'the server did not start'}"


def _name_taken(bind: Bind, facts: Facts) -> Iterable[str]:
    resolution = facts.names.get(bind.address)
    if resolution is not None and resolution.addresses:
        listed = ", then ".join(map(str, resolution.addresses))
        first = ", and the server took the first" if len(resolution.addresses) > 1 else ""
        yield f"{bind.address} is {listed} there{first}."


def _meaning(matrix: Matrix, bind: Bind, facts: Facts, listener: Listener) -> str:
    kind = _kind(matrix, bind, facts, listener)
    only = f", but only for what comes in by {listener.device}" if listener.device else ""
    return f"{listener.address} is {kind}{only}"


def _kind(matrix: Matrix, bind: Bind, facts: Facts, listener: Listener) -> str:
    address = listener.address
    if address.is_unspecified:
        families = "IPv4" if address.version == 4 else "IPv6" if listener.v6only else "IPv6 or IPv4"
        return f"no address but a wildcard, any {families} address of the host"
    if address.is_loopback:
        return "an address of the loopback interface, inside the host"
    links = matrix.experiment.topology.host(bind.host).links
    network = next((link.network for link in links if any(own.ip == address for own in link.addresses)), None)
    return f"the host's address on {network}" if network else "an address of the host"


def _hung_up(cells: list[Cell]) -> Iterable[str]:
    """Say where a connection opens and then dies, and what to change about it."""
    accepted = [cell for cell in cells if _verdict(cell) is Verdict.ACCEPTED]
    if accepted:
        vantages = _listed(dict.fromkeys(cell.vantage for cell in accepted))
        remedy = accepted[0].prediction.remedy
        yield f"From {vantages} the connection opens, and then dies" + (f": {remedy}." if remedy else ".")


def _from_elsewhere(cells: list[Cell]) -> Iterable[str]:
    """Say where a question gets through and its answer does not, for the address that it comes from."""
    lost = [cell for cell in cells if _verdict(cell) is Verdict.WRONG_SOURCE]
    if lost:
        who, remedy = _grouped(lost), lost[0].prediction.remedy
        yield f"Asked by {who}, it answers from another address or port, which nobody takes" + (
            f": {remedy}." if remedy else "."
        )


def _grouped(cells: list[Cell]) -> str:
    """Return dials as in `server (127.0.0.2) and peer (back-ipv4)`."""
    by_vantage: dict[str, list[str]] = defaultdict(list)
    for cell in cells:
        by_vantage[cell.vantage].append(cell.target.name)
    return _listed(f"{vantage} ({', '.join(targets)})" for vantage, targets in by_vantage.items())


def _who(cells: list[Cell], same: dict[Column, Cell]) -> str:
    """Return who gets through and by which targets; these are left out where none that could differ fails."""
    open_to: dict[str, list[str]] = defaultdict(list)
    partly = set()
    for cell in cells:
        if _verdict(cell) is Verdict.OPEN:
            open_to[cell.vantage].append(cell.target.name)
        elif (cell.vantage, cell.target.name) not in same:
            partly.add(cell.vantage)
    if not open_to:
        return "nobody gets through"
    who = [f"{v} ({', '.join(names)})" if v in partly else f"{v} (all)" for v, names in open_to.items()]
    only = "only " if [*open_to] == [SERVER] else ""
    return f"reached {only}from {_listed(who)}"


def _verdict(cell: Cell) -> Verdict | None:
    return cell.observation.outcome.verdict if cell.observation.outcome is not None else None


def _why(cell: Cell) -> str:
    """Return why a cell came out so, in words that other cells may share."""
    step, outcome = _decisive(cell), cell.observation.outcome
    if step.kind == "listener":
        refused = outcome is not None and outcome.verdict is Verdict.REFUSED
        if step.host != cell.bind.host:
            return f"that is {step.host} itself"
        return "the packet arrives, and no socket takes it" if refused else step.text
    if step.kind == "route" and outcome is not None and outcome.detail == "ENETUNREACH":
        return f"{step.host} has no route there"
    if step.kind == "resolve":
        return f"{step.host} does not know the name"
    return step.text


def _decisive(cell: Cell) -> Step:
    """Return the step of the prediction that decides: the last but a bare answer."""
    steps = [step for step in cell.prediction.reason if step.kind != "answer"] or cell.prediction.reason
    return steps[-1]


def _listed(items: Iterable[str]) -> str:
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last

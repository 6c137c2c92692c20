"""What differs between the binds, and why, in sentences: computed from the matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable

from netlab.experiments.plan import SERVER
from netlab.facts import Facts, Listener
from netlab.matrix import Matrix
from netlab.model import Bind, Cell, Outcome, Protocol, Step, Verdict
from netlab.report.alike import FEW, among, counted, listed, named

Column = tuple[str, str]


def differences(matrix: Matrix) -> list[tuple[str, str]]:
    """Return for each bind its name, and what it listens on, who gets through, and what the others get.

    Binds that differ only in their host are told together, by what they have in common.
    """
    same = _same_for_all(matrix)
    groups: dict[tuple[str, str], list[Bind]] = defaultdict(list)
    for bind in matrix.experiment.binds:
        common = _common(matrix, bind)
        about = _about(matrix, bind, same, several=bool(common))
        groups[common or bind.name, " ".join(about)].append(bind)
    told = []
    for (common, text), (first, *others) in groups.items():
        if others:
            hosts = counted([bind.host for bind in (first, *others)])
            told.append((common, f"{hosts}: {text}"))
        else:
            told.append((first.name, " ".join(_about(matrix, first, same))))
    return told


def _common(matrix: Matrix, bind: Bind) -> str:
    """Return what a bind that is named for its host has in common with others: an address, or a network."""
    if bind.name != f"{bind.host} {bind.address}":
        return ""
    return next(
        (
            f"{link.network} IPv{own.version}"
            for link in matrix.experiment.topology.host(bind.host).links
            for own in link.addresses
            if bind.address == str(own.ip)
        ),
        bind.address,
    )


def constants(matrix: Matrix) -> list[tuple[str, str]]:
    """Return what no bind changes: for each vantage the targets that share an outcome and its reason."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (vantage, target), cells in _same_for_all(matrix).items():
        if cells[0].observation.outcome is not None:
            reasons = {why(cell) for cell in cells}
            # Each bind may have a reason of its own: by which socket it is open.
            because = f": {reasons.pop()}" if len(reasons) == 1 else ""
            groups[vantage, f"{cells[0].observation.outcome}{because}"].append(target)
    vantages: dict[str, list[str]] = defaultdict(list)
    for (vantage, text), targets in groups.items():
        vantages[f"{listed(targets)}: {text}."].append(vantage)
    told = []
    for text, alike in vantages.items():
        if len(alike) > FEW:
            told.append((f"{len(alike)} hosts", f"{named(alike)}: {text}"))
        else:
            told += [(vantage, text) for vantage in alike]
    first = list(dict.fromkeys(name for name, _ in told))
    return sorted(told, key=lambda pair: first.index(pair[0]))


def _same_for_all(matrix: Matrix) -> dict[Column, list[Cell]]:
    """Return the columns in which every bind that listens has the same outcome, with their cells."""
    columns: dict[Column, list[Cell]] = defaultdict(list)
    for cell in matrix.cells:
        if cell.prediction.outcome.verdict is not Verdict.NOT_BOUND:
            columns[cell.vantage, cell.target.name].append(cell)
    return {
        column: cells
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


def _about(matrix: Matrix, bind: Bind, same: Container[Column], *, several: bool = False) -> Iterable[str]:
    """Yield what is to be said of a bind, or of several that are alike: then without its own address."""
    cells = [cell for cell in matrix.cells if cell.bind == bind]
    facts, service = matrix.facts_of(bind), matrix.experiment.service_of(bind)
    sockets = facts.sockets(service.transport.protocol)
    listeners = [listener for listener in sockets if listener.port == service.port]
    if not listeners:
        yield f"{_not_listening(cells[0])}."
        return
    yield from _name_taken(bind, facts)
    meanings = listed(_meaning(matrix, bind, facts, listener, several) for listener in listeners)
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


def _meaning(matrix: Matrix, bind: Bind, facts: Facts, listener: Listener, several: bool) -> str:
    only = f", but only for what comes in by {listener.device}" if listener.device else ""
    network = _network(matrix, bind, listener) if several else None
    if network is not None:
        return f"the address of each on {network}{only}"
    return f"{listener.address} is {_kind(matrix, bind, facts, listener)}{only}"


def _kind(matrix: Matrix, bind: Bind, facts: Facts, listener: Listener) -> str:
    address = listener.address
    if address.is_unspecified:
        families = "IPv4" if address.version == 4 else "IPv6" if listener.v6only else "IPv6 or IPv4"
        return f"no address but a wildcard, any {families} address of the host"
    if address.is_loopback:
        return "an address of the loopback interface, inside the host"
    network = _network(matrix, bind, listener)
    return f"the host's address on {network}" if network else "an address of the host"


def _network(matrix: Matrix, bind: Bind, listener: Listener) -> str | None:
    links = matrix.experiment.topology.host(bind.host).links
    address = listener.address
    return next((link.network for link in links if any(own.ip == address for own in link.addresses)), None)


def _hung_up(cells: list[Cell]) -> Iterable[str]:
    """Say where a connection opens and then dies, and what to change about it."""
    accepted = [cell for cell in cells if _verdict(cell) is Verdict.ACCEPTED]
    if accepted:
        others = _others(accepted)
        who = [among(others, _others(cells))] if len(others) > FEW else others
        vantages = listed([SERVER, *who] if any(cell.vantage == SERVER for cell in accepted) else who)
        remedy = accepted[0].prediction.remedy
        yield f"From {vantages} the connection opens, and then dies" + (f": {remedy}." if remedy else ".")


def _from_elsewhere(cells: list[Cell]) -> Iterable[str]:
    """Say where a question gets through and its answer does not, for the address that it comes from."""
    lost = [cell for cell in cells if _verdict(cell) is Verdict.WRONG_SOURCE]
    if lost:
        who, remedy = _grouped(lost, _others(cells)), lost[0].prediction.remedy
        yield f"Asked by {who}, it answers from another address or port, which nobody takes" + (
            f": {remedy}." if remedy else "."
        )


def _others(cells: Iterable[Cell]) -> list[str]:
    """Return who dials from another host."""
    return [vantage for vantage in dict.fromkeys(cell.vantage for cell in cells) if vantage != SERVER]


def _grouped(cells: list[Cell], others: list[str]) -> str:
    """Return dials as in `server (127.0.0.2) and peer (back-ipv4)`."""
    by_vantage: dict[str, list[str]] = defaultdict(list)
    for cell in cells:
        by_vantage[cell.vantage].append(cell.target.name)
    return _dialling({vantage: ", ".join(targets) for vantage, targets in by_vantage.items()}, others)


def _dialling(targets: dict[str, str], others: list[str]) -> str:
    """Return vantages, each with its targets; many that have the same ones are named together."""
    alike: dict[str, list[str]] = defaultdict(list)
    for vantage in others:
        if vantage in targets:
            alike[targets[vantage]].append(vantage)
    told = []
    for vantage, its in targets.items():
        group = alike[its] if len(alike[its]) > FEW and vantage != SERVER else [vantage]
        if vantage == group[0]:
            told.append(f"{among(group, others)} ({its})")
    return listed(told)


def _who(cells: list[Cell], same: Container[Column]) -> str:
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
    targets = {v: ", ".join(names) if v in partly else "all" for v, names in open_to.items()}
    only = "only " if [*open_to] == [SERVER] else ""
    return f"reached {only}from {_dialling(targets, _others(cells))}"


def _verdict(cell: Cell) -> Verdict | None:
    return cell.observation.outcome.verdict if cell.observation.outcome is not None else None


def why(cell: Cell) -> str:
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

"""The predictor: from facts to what must come of a dial, and why. Pure: no socket, no clock, no backend.

`predict` goes the way of a dial: does the service listen at all (`binding`), what does the name resolve to
(`dialling`), where does the packet go (`path`, and what it is made of), which socket takes it (`listeners`),
does the answer return (`connections`, `datagrams`).
"""

from __future__ import annotations

from netlab.model import BY_TCP, Bind, Prediction, Protocol, Target, Transport
from netlab.predict.binding import cannot_bind
from netlab.predict.connections import Connection
from netlab.predict.datagrams import Exchange
from netlab.predict.view import View

__all__ = ["View", "predict"]


def predict(
    view: View, bind: Bind, port: int, vantage: str, target: Target, transport: Transport = BY_TCP
) -> Prediction:
    """Say what comes of a dial.

    Args:
        view: the facts of every host, read while the service ran, and the networks that join them.
        bind: how the service was told where to listen, and on which host.
        port: the service's port.
        vantage: the host that dials.
        target: what it dials.
        transport: how the service is talked to.

    Returns:
        The outcome; its reason, step by step; and what would open it, where it is not open.
    """
    protocol, dialled = transport.protocol, target.port or port
    if bind.address and (failure := cannot_bind(view.facts[bind.host], bind, port, protocol)):
        return failure
    if protocol is Protocol.UDP:
        return Exchange(view, bind, port, vantage, dialled, transport).dial(target)
    return Connection(view, bind, port, vantage, dialled).dial(target)

"""`hftp serve`: open the directory and the listeners, say where they are, serve until a signal."""

from __future__ import annotations

import sys
from contextlib import suppress

from hftp.stop import StopOnSignals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def serve(
    addresses: Sequence[str] | None,
    port: int,
    directory: str,
    *,
    v6only: bool,
    device: str | None,
    all_addresses: bool,
    grace_s: float,
) -> int:
    """Serve a directory until SIGTERM or SIGINT.

    Args:
        addresses: Names or addresses to listen on; None for 127.0.0.1.
        port: For all of them; 0 for a free one.
        directory: Its path.
        v6only: Listen on ``::`` without IPv4.
        device: Listen on this interface only.
        all_addresses: Listen on each address of a name, not on the first.
        grace_s: How long running answers may take at the end, in seconds.

    Returns:
        0.

    Raises:
        HFTPError: It can't listen there, or can't serve this directory.
    """
    with StopOnSignals() as stop:  # first: a signal may come while the rest is imported
        from hftp.files import DataDirectory
        from hftp.listen import describe_listener, find_places, open_listeners
        from hftp.server import Server

        _raise_descriptor_limit()
        with DataDirectory(directory) as files:
            places = [
                place
                for address in addresses or [_default_address(device)]
                for place in find_places(
                    address, port, v6only=v6only, device=device, all_addresses=all_addresses, say=_say
                )
            ]
            listeners = open_listeners(places)
            for listener in listeners:
                sys.stdout.write(f"listening on {describe_listener(listener)}\n")
            sys.stdout.flush()
            Server(listeners, files, stop, grace_s).run()
    return 0


def _raise_descriptor_limit() -> None:
    """Allow as many descriptors as may be: the soft limit is often 1024, for the sake of select()."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS says infinity, and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _default_address(device: str | None) -> str:
    if device is not None:  # the device already limits who can connect
        return "::"
    _say("only this machine can connect; to let others in: -a 0.0.0.0 (any address), or -a with one address")
    return "127.0.0.1"


def _say(line: str) -> None:
    sys.stderr.write(f"hftp: {line}\n")

"""What `hftp bench` does."""

from __future__ import annotations

import json
import resource
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from hftp.load.flags import check_total
from hftp.load.run import find_target, run_load
from hftp.load.shape import DEFAULT_SLICE_BYTES, TROUBLE, Shape, divide
from hftp.load.words import report

if TYPE_CHECKING:
    import argparse

# Descriptors that are not for clients.
_RESERVED_DESCRIPTORS = 32


def bench(options: argparse.Namespace) -> None:
    """Put a load on a server, and say what came of it.

    Args:
        options: What ``hftp.cli`` has parsed.

    Raises:
        HFTPError: The server does not answer even before the load.
    """
    shape = Shape(
        active=divide(options.clients, options.mix),
        trouble={kind: vars(options)[kind.replace("-", "_")] for kind in TROUBLE},
        seconds=options.seconds,
        count=options.count,
        slice_bytes=DEFAULT_SLICE_BYTES if options.slice is None else options.slice,
    )
    check_total(shape.clients, options.parser)
    _allow_descriptors(shape.clients + _RESERVED_DESCRIPTORS, options.parser)
    host, port = options.server
    result = run_load(find_target(host, port, options.timeout, options.file), shape)
    if options.json:
        sys.stdout.write(json.dumps(asdict(result), indent=1) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in report(result))


def _allow_descriptors(count: int, parser: argparse.ArgumentParser) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
            return
        parser.error(f"it takes {count} descriptors, and {hard} are allowed: raise `ulimit -n`")

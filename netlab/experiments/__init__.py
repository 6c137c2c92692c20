"""Experiments: a lab, a service, the binds to try, and who dials what.

`load` finds one by name or by file, reads it (`schema`) and works out the hosts and addresses (`expand`).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from netlab.errors import NetlabError
from netlab.experiments.expand import expand
from netlab.experiments.plan import Experiment, Headline, Service, Vantage
from netlab.experiments.schema import read

__all__ = ["Experiment", "Headline", "Service", "Vantage", "load", "shipped"]

# An experiment is a page of text; a file much larger than this is something else.
_LIMIT_BYTES = 1 << 20


def shipped() -> tuple[str, ...]:
    """Return the names of the experiments that come with netlab."""
    entries = resources.files(__package__).iterdir()
    return tuple(sorted(entry.name[: -len(".yaml")] for entry in entries if entry.name.endswith(".yaml")))


def load(name: str) -> Experiment:
    """Return the experiment of that name, or in that file.

    Args:
        name: one of `shipped()`, or a path to a YAML file.

    Raises:
        ExperimentError: the file says something that can't be followed.
        NetlabError: there is no such experiment, or the file can't be read.
    """
    if name in shipped():
        text = resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        return expand(name, read(f"{name}.yaml", text))
    return expand(Path(name).stem, read(name, _text(name)))


def _text(name: str) -> str:
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        raise NetlabError(
            f"no experiment is called {name!r}: there is {', '.join(shipped())}, or the path of a .yaml file"
        )
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise NetlabError(f"{name}: larger than {_LIMIT_BYTES >> 20} MiB: this is no experiment")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NetlabError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise NetlabError(f"{name}: not UTF-8 text (byte {error.start})") from None

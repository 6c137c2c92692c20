"""Programs that travel: a package of netlab as one source, for an interpreter that has nothing of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

# Imports modules from their sources. What is never imported is never compiled: that takes longer than sending
# it does. Optimization 2 leaves the docstrings out.
_LOADER = """
import sys

class Sources:
    modules = {modules!r}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in cls.modules:
            return None
        package = any(other.startswith(name + ".") for other in cls.modules)
        return type(sys.__spec__)(name, cls, is_package=package)

    @staticmethod
    def create_module(spec):
        return None

    @classmethod
    def exec_module(cls, module):
        name = module.__name__
        exec(compile(cls.modules[name], name, "exec", 0, True, 2), module.__dict__)

sys.meta_path.insert(0, Sources)
from {package}.{main} import main
main()
"""


@cache
def program(package: str, main: str, *others: str) -> bytes:
    """Return packages of netlab as one source, for `netlab.session.AgentSession`.

    Their modules may import one another and the standard library; nothing else of netlab is there.

    Args:
        package: its name: `netlab.agent`.
        main: the module of it whose function `main` is called.
        others: what else it imports.
    """
    modules: dict[str, str] = {}
    for name in (package, *others):
        modules.update(_modules(name))
    return _LOADER.format(modules=modules, package=package, main=main).encode()


def _modules(package: str) -> dict[str, str]:
    """Return the sources of a package's modules, by name; the packages around it are empty."""
    place = Path(__file__).parent.joinpath(*package.split(".")[1:])
    parents = package.split(".")
    modules = {".".join(parents[:depth]): "" for depth in range(1, len(parents))}
    for file in sorted(place.rglob("*.py")):
        name = ".".join((package, *file.relative_to(place).with_suffix("").parts)).removesuffix(".__init__")
        modules[name] = file.read_text(encoding="utf-8")
    return modules

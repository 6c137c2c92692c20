"""Programs that travel: a package of netlab as one source, for an interpreter that has nothing of it."""

from __future__ import annotations

import binascii
import marshal
import sys
from functools import cache
from importlib.util import MAGIC_NUMBER
from pathlib import Path

# Imports modules from their sources; from what is compiled already where the interpreter is of this very
# version, as in a room of alike machines: compiling takes longer than all else that an agent does. What is
# never imported is never compiled. Optimization 2 leaves the docstrings out.
_LOADER = """
import binascii, marshal, sys

def version():
    external = sys.modules.get("_frozen_importlib_external")
    return sys.implementation.cache_tag, getattr(external, "MAGIC_NUMBER", None)

class Sources:
    modules = {modules!r}
    compiled = marshal.loads(binascii.a2b_base64({compiled!r})) if version() == {version!r} else {{}}

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
        code = cls.compiled.get(name) or compile(cls.modules[name], name, "exec", 0, True, 2)
        exec(code, module.__dict__)

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
    code = {
        name: compile(source, name, "exec", 0, dont_inherit=True, optimize=2)
        for name, source in modules.items()
    }
    compiled = binascii.b2a_base64(marshal.dumps(code), newline=False)
    version = sys.implementation.cache_tag, MAGIC_NUMBER
    return _LOADER.format(
        modules=modules, compiled=compiled, version=version, package=package, main=main
    ).encode()


def _modules(package: str) -> dict[str, str]:
    """Return the sources of a package's modules, by name; the packages around it are empty."""
    place = Path(__file__).parent.joinpath(*package.split(".")[1:])
    parents = package.split(".")
    modules = {".".join(parents[:depth]): "" for depth in range(1, len(parents))}
    for file in sorted(place.rglob("*.py")):
        name = ".".join((package, *file.relative_to(place).with_suffix("").parts)).removesuffix(".__init__")
        modules[name] = file.read_text(encoding="utf-8")
    return modules

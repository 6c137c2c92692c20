"""Expectations: who should reach what, written down in `netlab.yaml` and checked on a real kernel.

`checkfile` reads a file (`schema`, `labs`, `services`), and refuses what can't be meant (`startable`,
`pointless`); what it asks of a lab is worked out once the lab's hosts are known (`placing`, `columns`); `run`
runs it as any experiment and holds every cell against the rules (`rules`, `results`); and `message` says of a
cell what is wrong and what to change. `recording` writes a file of what is now, `baseline` compares with an
earlier run.
"""

from netlab.expectations.checkfile import CheckFile, load
from netlab.expectations.results import Checked, Result, State
from netlab.expectations.rules import Expectation

__all__ = ["CheckFile", "Checked", "Expectation", "Result", "State", "load"]

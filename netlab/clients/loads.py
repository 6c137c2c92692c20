"""The loads of the experiment: how many clients, and who among them makes trouble."""

from __future__ import annotations

from dataclasses import dataclass

# Of ten clients eight ask for small things and two for slices, one of them in base64.
MIX = "small=8,raw=1,base64=1"

# A slice is as large as a page with its pictures' thumbnails: small beside a socket's buffers.
SLICE = "64K"

# A client that sends a byte a second has its shortest line, 3 bytes, complete after 2 seconds.
_TRICKLE_SECONDS = 2.4


@dataclass(frozen=True, slots=True)
class Load:
    """What is put on a server.

    Args:
        name: in tables and charts.
        clients: how many ask again and again.
        trouble: how many clients of each kind that `hftp bench` knows do something else.
        least_s: how long it lasts at least, in seconds, to show what it is for.
    """

    name: str
    clients: int
    trouble: tuple[tuple[str, int], ...] = ()
    least_s: float = 0.0

    def seconds(self, wanted_s: float) -> float:
        """Return how long the load lasts.

        Args:
            wanted_s: how long loads last, in seconds.
        """
        return max(wanted_s, self.least_s)

    def flags(self, wanted_s: float) -> list[str]:
        """Return the flags that make `hftp bench` this load."""
        flags = ["-c", str(self.clients), "--mix", MIX, "--slice", SLICE, "-t", str(self.seconds(wanted_s))]
        for kind, count in self.trouble:
            flags += [f"--{kind}", str(count)]
        return flags


CROWDS = tuple(Load(f"{count:,} client{'s' * (count > 1)}", count) for count in (1, 10, 100, 1000))

# What trouble does to the same hundred clients.
CALM = CROWDS[2]
TROUBLES = (
    Load("100 idle", 100, (("idle", 100),)),
    Load("1 never reads", 100, (("never-reading", 1),)),
    Load("1 byte a second", 100, (("trickling", 1),), least_s=_TRICKLE_SECONDS),
    Load("10 vanish", 100, (("vanishing", 10),)),
)

# All at once, but for the one whose trouble takes time.
_QUICK_TROUBLE = tuple(trouble for load in TROUBLES if not load.least_s for trouble in load.trouble)

ALL = CROWDS + TROUBLES
QUICK = (CROWDS[1], CALM, Load("all trouble", 100, _QUICK_TROUBLE))

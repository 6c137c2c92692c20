"""netlab says who can reach a server, and why, and proves it on a real kernel."""

from hftp import __version__

__all__ = ["__version__"]

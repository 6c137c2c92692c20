"""The `ssh` backend: machines that are there already, reached with paramiko."""

import logging

from netlab.backends.ssh.connection import Connection, Terms
from netlab.backends.ssh.lab import CONTROLLER, SshLab
from netlab.backends.ssh.problems import ConnectError

__all__ = ["CONTROLLER", "ConnectError", "Connection", "SshLab", "Terms"]

# Its errors come to us as exceptions; where nobody listens, logging would write them to the terminal, too.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

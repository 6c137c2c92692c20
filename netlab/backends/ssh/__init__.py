"""The `ssh` backend: machines that are there already, reached with paramiko."""

from netlab.backends.ssh.connection import ConnectError, Connection, Terms
from netlab.backends.ssh.lab import CONTROLLER, SshLab

__all__ = ["CONTROLLER", "ConnectError", "Connection", "SshLab", "Terms"]

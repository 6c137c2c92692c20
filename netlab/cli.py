"""The command `netlab`. Results go to standard output, everything else to standard error.

What a command needs is imported when it runs, so that `netlab --help` answers at once.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence

import click

from netlab import __version__
from netlab.clients.command import clients
from netlab.commands.check import check
from netlab.commands.doctor import doctor
from netlab.commands.hosts import hosts
from netlab.commands.init import init
from netlab.commands.leftovers import down, list_runs
from netlab.commands.run import run
from netlab.commands.scan import scan
from netlab.commands.schema import schema
from netlab.commands.shell import shell
from netlab.commands.validate import validate
from netlab.commands.why import why
from netlab.deploy.command import deploy, rollback, undeploy
from netlab.deploy.looking import logs, status
from netlab.errors import ExitCode, NetlabError

# What write(2) says of a place that takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: without the program's name; those of the process by default.
    """
    # To be told to end, or to lose the terminal, is to end in order, with the lab taken down.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1)
            signal.signal(number, signal.default_int_handler)
    try:
        return int(commands.main(arguments, prog_name="netlab", standalone_mode=False) or ExitCode.OK)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except click.ClickException as error:
        first = (sys.argv[1:] if arguments is None else arguments)[0]  # click knows it of some errors only
        command = f"netlab {first}" if first in commands.commands else "netlab"
        return _complain(f"{error.format_message()} (see '{command} --help')", ExitCode.USAGE)
    except NetlabError as error:
        return _complain(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted; nothing is left behind", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has seen enough: `netlab run | head`.
        _discard_output()
        return ExitCode.OK
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _discard_output()
        return _complain(f"the output can't be written: {error.strerror}", ExitCode.USAGE)


def _discard_output() -> None:
    """Let what is still buffered for standard output go nowhere: its flush at exit would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, code: ExitCode) -> int:
    click.echo(f"netlab: {message}", err=True)
    return code


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="netlab")
def commands() -> None:
    """Say who can reach a server, and why, and prove it on a real kernel."""


_CHECKING = (init, check, validate, schema)
_ON_MACHINES = (deploy, status, logs, rollback, undeploy)

for command in (run, *_CHECKING, scan, why, hosts, *_ON_MACHINES, shell, list_runs, down, doctor, clients):
    commands.add_command(command)

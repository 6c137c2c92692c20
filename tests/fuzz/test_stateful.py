"""A session as a machine that hypothesis drives: pieces come, some of the output is taken, the file changes.

`make fuzz-hftp SECONDS=60` runs it so long; without that, it takes a moment.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hftp.connection import Connection
from hftp.constants import ANSWER_PIECE_BYTES, RECEIVE_BYTES
from hftp.files import DataDirectory
from tests.fuzz.session import write_files
from tests.property.hftp.model import model_stream
from tests.property.hftp.test_framing import streams

_SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))


class Session(RuleBasedStateMachine):
    """What was answered is at each moment the beginning of what the model answers."""

    def __init__(self) -> None:
        super().__init__()
        self.path = tempfile.TemporaryDirectory()
        write_files(Path(self.path.name))
        self.directory = DataDirectory(self.path.name)
        self.begin()

    def begin(self) -> None:
        self.connection = Connection(self.directory, can_send_files=True)
        self.stream = b""
        self.answers = b""

    @precondition(lambda self: self.connection.finished)
    @rule()
    def leave_and_come_again(self) -> None:
        self.connection.close()
        self.begin()

    @precondition(lambda self: self.connection.wants_input)
    @rule(piece=streams.filter(bool))
    def receive(self, piece: bytes) -> None:
        piece = piece[:RECEIVE_BYTES]
        self.stream += piece
        self.connection.receive_data(piece)

    @precondition(lambda self: self.connection.wants_output)
    @rule(most=st.integers(1, 20_000))
    def take(self, most: int) -> None:
        data = bytes(self.connection.data_to_send())[:most]
        if data:
            self.answers += data
            self.connection.bytes_sent(len(data))
        elif self.connection.file_range is not None:
            file_range = self.connection.file_range
            count = min(most, file_range.length - file_range.position)
            self.answers += file_range.file.read(file_range.offset + file_range.position, count)
            self.connection.file_sent(count)

    @precondition(lambda self: self.connection.wants_input)
    @rule()
    def end(self) -> None:
        self.connection.receive_data(b"")
        assert self.connection.finished

    @precondition(lambda self: self.connection.wants_output)
    @rule()
    def take_all(self) -> None:
        while self.connection.wants_output:
            self.take(20_000)
        assert self.answers == model_stream(self.stream)[0]

    @invariant()
    def what_was_answered_is_right_so_far(self) -> None:
        assert model_stream(self.stream)[0].startswith(self.answers)
        assert self.connection.bytes_taken == len(self.answers)

    @invariant()
    def it_holds_little(self) -> None:
        assert self.connection.held_bytes <= ANSWER_PIECE_BYTES + RECEIVE_BYTES + 8192

    @invariant()
    def it_wants_one_thing_or_is_finished(self) -> None:
        connection = self.connection
        assert connection.wants_input + connection.wants_output + connection.finished == 1

    def teardown(self) -> None:
        self.connection.close()
        assert self.connection.finished
        self.directory.close()
        self.path.cleanup()


def test_a_session_does_what_the_model_does() -> None:
    ends_at = time.monotonic() + _SECONDS
    examples = 300 if _SECONDS else 30
    while True:
        run_state_machine_as_test(
            Session,
            settings=settings(
                max_examples=examples,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        if time.monotonic() >= ends_at:
            return

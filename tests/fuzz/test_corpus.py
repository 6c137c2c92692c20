"""Every input that fuzzing found worth keeping: what it once broke stays whole."""

from __future__ import annotations

from pathlib import Path

from hftp.files import DataDirectory
from tests.fuzz import client, session

CORPUS = Path(__file__).parent / "corpus"


def inputs(target: str) -> list[bytes]:
    programs = [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
    assert programs
    return programs


def test_every_input_of_a_session_gets_the_answers_of_the_model(tmp_path: Path) -> None:
    session.write_files(tmp_path)
    with DataDirectory(str(tmp_path)) as directory:
        for program in inputs("session"):
            session.check(directory, program)


def test_every_input_of_a_client_ends_as_the_model_does(tmp_path: Path) -> None:
    arena = client.Arena(tmp_path)
    for program in inputs("client"):
        client.check(arena, program)

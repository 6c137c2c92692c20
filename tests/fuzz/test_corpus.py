"""Every input that fuzzing found worth keeping: what it once broke stays whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hftp.files import DataDirectory
from tests.fuzz.session import check, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataDirectory]:
    path = tmp_path_factory.mktemp("fuzz")
    write_files(path)
    with DataDirectory(str(path)) as directory:
        yield directory


def test_every_input_of_the_corpus_gets_the_answers_of_the_model(directory: DataDirectory) -> None:
    assert CORPUS
    for path in CORPUS:
        check(directory, path.read_bytes())

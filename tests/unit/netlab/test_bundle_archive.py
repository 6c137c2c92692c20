"""The archive of a run: what is in it is what its manifest says, and nothing has passed by the scrubber."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

from netlab.bundle.archive import Archive, file_names
from netlab.bundle.contents import bundle, manifest_head
from netlab.bundle.recording import Output, Packets, Recorded, Round, System
from netlab.bundle.scrub import REMOVED, Scrubber
from netlab.errors import AgentError
from netlab.starting import ServiceStart
from tests.unit.netlab.made import matrix

SYSTEM = System("", "3.11.2", "Linux 6.1", "x86_64", "Debian")


def opened(content: bytes) -> tuple[dict[str, bytes], dict[str, object]]:
    """Return an archive's files, and its manifest."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    return files, json.loads(files.pop("manifest.json"))


def recorded() -> Recorded:
    started = ServiceStart(True, None, "listening\n")
    outputs: dict[str, Output | AgentError] = {
        "one": Output(started, "listening\nGET / token=abcdefgh\n", 31),
        "two": AgentError("two", "it is gone"),
    }
    made = matrix()
    return Recorded(
        systems={"one": SYSTEM, "two": SYSTEM, "peer": AgentError("peer", "it is gone")},
        packets={
            "one": Packets(b"\x0a\x0d\x0d\x0a", 3, 2, 1),
            "two": "it takes root's rights there",
            "peer": "x",
        },
        rounds=(Round(made.experiment.binds, outputs),),
        logs={"web": "started\nPGPASSWORD=verysecret\nsaid plainly-known\n"},
        environments={"web": {"APP_SECRET": "plainly-known"}},
    )


def test_the_manifest_has_every_file_with_its_checksum_and_every_gap_with_its_reason() -> None:
    files, manifest = opened(bundle(matrix(), recorded()).finished(manifest_head(matrix(), "today")))
    listed = {str(file["path"]): file for file in manifest["files"]}  # type: ignore[attr-defined]
    assert set(listed) == set(files)
    for path, content in files.items():
        assert listed[path]["sha256"] == hashlib.sha256(content).hexdigest()
        assert listed[path]["bytes"] == len(content)
        assert listed[path]["what"]
    assert manifest["missing"] == [
        {"path": "round-1/logs/two.txt", "why": "agent on two: it is gone"},
        {"path": "pcaps/two.pcapng", "why": "it takes root's rights there"},
        {"path": "pcaps/peer.pcapng", "why": "x"},
    ]
    assert (manifest["backend"], manifest["exit_code"], manifest["ended"]) == ("netns", 0, "today")
    assert "2 more are left out" in listed["pcaps/one.pcapng"]["what"]
    assert "1 more were lost" in listed["pcaps/one.pcapng"]["what"]


def test_what_is_known_of_a_run_is_in_it() -> None:
    files, _ = opened(bundle(matrix(), recorded()).finished({}))
    assert {"README.txt", "report.html", "screen.txt", "run.json", "experiment.json", "versions.json"} < set(
        files
    )
    assert json.loads(files["run.json"])["cells"][0]["bind"] == "127.0.0.1"
    facts = json.loads(files["round-1/facts/one.json"])
    assert facts["listeners"] == [{"address": "127.0.0.1", "port": 19500, "v6only": False, "device": None}]
    versions = json.loads(files["versions.json"])
    assert versions["hosts"]["one"]["kernel"] == "Linux 6.1"
    assert versions["hosts"]["peer"] == {"not asked": "agent on peer: it is gone"}
    assert {"netlab", "Python", "kernel", "system", "util-linux", "click"} <= set(versions["here"])
    asked = json.loads(files["experiment.json"])
    assert [(bind["name"], bind["round"]) for bind in asked["binds"]] == [("127.0.0.1", 1), ("0.0.0.0", 1)]


def test_logs_are_scrubbed_and_no_environment_is_in_it() -> None:
    files, _ = opened(bundle(matrix(), recorded()).finished({}))
    assert files["round-1/logs/one.txt"].decode() == f"listening\nGET / token={REMOVED}\n"
    assert files["logs/web.txt"].decode() == f"started\nPGPASSWORD={REMOVED}\nsaid {REMOVED}\n"
    everything = b"".join(files.values())
    for secret in (b"verysecret", b"plainly-known", b"abcdefgh", b"APP_SECRET"):
        assert secret not in everything


def test_a_service_that_wrote_much_is_known_by_its_beginning_and_its_end() -> None:
    start = ServiceStart(True, None, "begin\n")
    assert Output(start, "begin\nmore\n", 11).text == "begin\nmore\n"
    assert Output(start, "...end\n", 100_000).text == "begin\n\n[...]\n...end\n"
    assert Output(start).text == "begin\n"


def test_a_file_may_be_called_after_anything() -> None:
    names = file_names(["peer", "peer", "a/b", "a b", "../../etc/passwd", "PEER", "", "..", "ü", "x" * 300])
    assert len({name.lower() for name in names.values()}) == len(names)
    for name in names.values():
        assert "/" not in name and name not in ("", ".", "..") and len(name) < 100
    assert names["peer"] == "peer"


def test_what_a_file_is_said_to_be_is_scrubbed_as_well() -> None:
    archive = Archive(Scrubber(["known-secret"]))
    archive.add_text("a", "known-secret", "about known-secret")
    archive.miss("b", "known-secret")
    content = archive.finished({"name": "known-secret"})
    files, manifest = opened(content)
    assert b"known-secret" not in files["a"] + json.dumps(manifest).encode()

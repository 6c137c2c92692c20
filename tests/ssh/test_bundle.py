"""`--bundle` of a run on real machines over OpenSSH, where the user is no root."""

from __future__ import annotations

import json
import zipfile

from tests.ssh.fleet import Fleet


def test_a_run_on_machines_has_every_round_and_says_why_there_are_no_packets(lab: Fleet) -> None:
    file = lab.directory / "run.zip"
    words = ("--bind", "server-any 0.0.0.0", "--bind", "server-any 127.0.0.1", "--from", "peer")
    done = lab.netlab("run", "-i", "lab.yaml", *words, "--bundle", str(file))
    assert done.code == 0, done.err
    with zipfile.ZipFile(file) as archive:
        files = {name: archive.read(name).decode(errors="replace") for name in archive.namelist()}
    manifest = json.loads(files["manifest.json"])
    binds = json.loads(files["experiment.json"])["binds"]
    assert [bind["round"] for bind in binds] == [1, 2], "a machine serves one bind after the other"
    for bind in binds:
        listening = f"listening on {bind['address']}:19500\n"
        assert files[f"round-{bind['round']}/logs/server-any.txt"] == listening
        facts = json.loads(files[f"round-{bind['round']}/facts/server-any.json"])
        assert bind["address"] in {its["address"] for its in facts["listeners"] if its["port"] == 19500}
    assert {"path": "pcaps/peer.pcapng", "why": "it takes root's rights there (CAP_NET_RAW)"} in (
        manifest["missing"]
    )
    assert set(json.loads(files["versions.json"])["hosts"]) == {*lab.machines, "controller"}

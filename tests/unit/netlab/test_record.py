"""A run as JSON."""

from __future__ import annotations

import json

from netlab import __version__
from netlab.report.record import FORMAT, record
from tests.unit.netlab.made import matrix


def test_a_record_survives_json() -> None:
    made = record(matrix(one_peer_lan=None))
    assert json.loads(json.dumps(made)) == made


def test_it_says_what_was_run_where_and_how_long() -> None:
    made = record(matrix())
    assert {key: made[key] for key in made if key != "cells"} == {
        "format": FORMAT,
        "netlab": __version__,
        "experiment": "made-by-hand",
        "backend": "netns",
        "kernel": "6.1",
        "seconds": 1.234,
    }
    assert len(made["cells"]) == 8


def test_a_cell_has_its_prediction_its_observation_and_their_grounds() -> None:
    assert record(matrix())["cells"][2] == {
        "bind": "127.0.0.1",
        "host": "one",
        "vantage": "peer",
        "target": "lan",
        "address": "198.18.1.11",
        "protocol": "tcp",
        "agrees": True,
        "prediction": {
            "verdict": "refused",
            "detail": "",
            "remedy": "bind 0.0.0.0",
            "reason": [
                {
                    "kind": "bind",
                    "host": "one",
                    "text": "127.0.0.1: listening on 127.0.0.1:19500",
                    "rests_on": "sockets",
                },
                {
                    "kind": "listener",
                    "host": "one",
                    "text": "no socket for 198.18.1.11:19500 by eth0",
                    "rests_on": "sockets",
                },
                {
                    "kind": "answer",
                    "host": "one",
                    "text": "no listener: RST",
                    "rests_on": "RFC 9293, 3.10.7.1",
                },
            ],
        },
        "observation": {
            "verdict": "refused",
            "detail": "",
            "not_measured": "",
            "evidence": ["evidence"],
            "seconds": 0.001,
        },
    }


def test_what_was_not_measured_has_no_verdict_and_says_why() -> None:
    cell = record(matrix(one_peer_lan=None))["cells"][2]
    assert cell["observation"]["verdict"] is None
    assert cell["observation"]["not_measured"] == "agent on peer: it is gone"
    assert cell["agrees"] is False

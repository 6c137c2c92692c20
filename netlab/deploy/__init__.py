"""Put the server on machines, see that it serves and who reaches it, and take it back where that is not as wanted.

`release` is what travels, `supervisor` what keeps it running there, `deployer` the program that does the work on
a machine. On this side: `machine` is one machine's end of it, `gate` who must reach it, `rollout` all of them.
"""

"""Put the server on machines, see that it serves and who reaches it, and take it back if not as wanted.

`release` is what travels, `supervisor` what keeps it running there, `deployer` the program that does the work
on a machine. Here, `machine` is the other end of that, `gate` who must reach it, `rollout` many machines.
"""

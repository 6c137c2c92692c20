"""Put the server on machines, see that it serves and who reaches it, and take it back if not as wanted.

`release` and `image` are what travels, `there` is the program that does the work on a machine, `supervisor`
what stays and keeps a program running. Here, `machine` is the other end of that, `steps` what is done with
one, `gate` who must reach it, `rollout` many machines. The commands are in `command`, where they change
something, and in `looking`.
"""

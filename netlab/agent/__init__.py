"""The agent: what runs on each host of a lab, to read its facts, start the service under test, and dial.

Standard-library Python (3.8 or later), sent over a pipe to an interpreter that has nothing installed
(`netlab.session` does that), so that a namespace, a container and a machine far away are all asked the same
way. Its modules travel together (`netlab.travelling`) and import nothing but one another.

    requests   stdin, one JSON object a line    {"id": 1, "op": "hello"}
    answers    stdout, one JSON object a line   {"id": 1, "ok": {...}}  or  {"id": 1, "error": "one line"}

It ends when its stdin does, and takes the service and its directory along. No request ends it.

Theory of operation. Requests are attended one after the other (`program`). `facts` asks the kernel in its own
language, netlink (rtnetlink(7), sock_diag(7)), since `ip` and `ss` are absent from many images and tell less.
`probe` gives each probe a thread, which goes about it as an ordinary program would. `serve` starts one
program, in a process group of its own.

A lab starts an agent on each host, all at once, so what is imported, and its length, cost time in every run:
`typing`, `pathlib`, `contextlib`, `subprocess`, `tempfile` and `shutil` are left out for that reason, and a
check is imported when it is asked for.
"""

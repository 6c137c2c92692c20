"""What runs on the hosts while a run is recorded: it captures packets, and reads what services wrote.

Its modules travel together, as the agent's do (`netlab.travelling`), run on Python 3.8 and later with the
standard library alone, and import nothing but one another. `program` is asked like the agent:

    requests   stdin, one JSON object a line    {"id": 1, "op": "start", ...}
    answers    stdout, one JSON object a line   {"id": 1, "ok": {...}}  or  {"id": 1, "error": "one line"}

Theory of operation. A packet socket (packet(7)) sees what crosses any interface of the host (`capture`). Of
each packet that concerns the lab the headers are kept, and never what applications say (`headers`). It all
goes into a pcapng file in memory, of a limited size (`pcapng`). What services wrote is read from the files
that the agent made for it (`outputs`).
"""

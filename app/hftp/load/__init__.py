"""A load generator: many clients of several kinds, in one process, against any HFTP server.

- ``shape`` says what is asked of the server: which kinds of clients, how many, for how long.
- ``client`` is what asks, ``kinds`` are what it may ask; ``loop`` attends all with epoll, as a server would.
- ``figures`` makes numbers of what happened, ``words`` makes lines of the numbers.
- ``flags`` and ``command`` are `hftp bench`.
"""

"""HFTP, the Home-made File Transfer Protocol: a server and a client.

Standard library only, Python 3.9 and later, so that it runs on any lab machine.
"""

__version__ = "0.1.0"

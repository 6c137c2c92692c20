"""A first `netlab.yaml`: from what is asked, from a Compose file, or from a program that listens here.

Each source gives a `Start` (`start`), and `writing` makes the file's text of it. `asked` takes a person's
answers, `compose_file` a Compose file, `listening` a TCP port of this machine; what looks like a secret
(`secrets`) is not written down.
"""

from netlab.init.start import Row, Rule, Start
from netlab.init.writing import text_of

__all__ = ["Row", "Rule", "Start", "text_of"]

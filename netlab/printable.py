"""Text that came from elsewhere, made harmless to a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return text on one line, with escapes for what a terminal would act upon."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)

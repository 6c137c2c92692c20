"""The `compose` backend: a lab of containers on an engine, brought up by Compose."""

from netlab.backends.compose.lab import ComposeLab

__all__ = ["ComposeLab"]

"""audiocli: audio analysis on the command line and from Python."""

from __future__ import annotations

__version__ = "0.1.0"

"""Runs of training that are stopped on the way."""

from __future__ import annotations

from collections.abc import Callable

from audiocli.nn.fit import Step


def stop_at(step: int) -> Callable[[Step], None]:
    """Interrupt after so many steps, counted over all epochs."""
    seen = 0

    def progress(told: Step) -> None:
        nonlocal seen
        seen += 1
        if seen == step:
            raise KeyboardInterrupt

    return progress

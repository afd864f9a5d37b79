"""What all tests share: one thread, repeatable examples, and no models but those asked for."""

from __future__ import annotations

import os

from hypothesis import settings

# Before torch is imported anywhere, also in the processes that tests start: results are then the
# same on every machine, and parallel test processes do not fight for the cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
# A user's own models must not decide what the tests see.
os.environ.pop("AUDIOCLI_MODELS", None)

# Busy machines are slow, which is no failure; every run draws the same examples.
settings.register_profile("audiocli", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("audiocli")

# Numba compiles librosa at the first import. Where two processes do so at once its cache on disk is
# mixed up, and crashes whoever reads it (numba issue 10128): once, before others are started.
if "PYTEST_XDIST_WORKER" not in os.environ:
    import librosa.beat  # noqa: F401

# Here, because it imports the package; a fixture that all tests have.
from commands import run  # noqa: E402, F401

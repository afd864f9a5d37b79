"""Run madmom's onset detectors, for `onsets.py --madmom PYTHON` beside this file.

    PYTHON benchmarks/madmom_onsets.py FILE.wav ...

madmom 0.16.1 needs an old numpy, so it lives in an environment of its own, whose PYTHON this is:

    python3.11 -m venv old && . old/bin/activate
    pip install numpy==1.23.5 'cython<3' 'scipy<1.12' mido setuptools==65 wheel
    pip download --no-deps --no-binary :all: --no-build-isolation madmom==0.16.1
    tar xf madmom-0.16.1.tar.gz && find madmom-0.16.1 -name '*.c' -delete
    pip install --no-build-isolation --no-deps ./madmom-0.16.1

Prints a JSON object a file and detector: `detector`, `file`, `times`, `seconds` of processor time.
The first file is run once before, to warm up. One thread, as everywhere in the comparison.
"""

# ruff: noqa: E402  # the names that madmom misses must be there before it is imported

from __future__ import annotations

import collections
import collections.abc
import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
for name in ("MutableSequence", "Mapping", "Sequence", "Iterable"):
    setattr(collections, name, getattr(collections.abc, name))  # gone since Python 3.10

from madmom.features.onsets import CNNOnsetProcessor, OnsetPeakPickingProcessor, RNNOnsetProcessor


def main() -> None:
    """Run both detectors, with the thresholds of madmom's own programs, over all files."""
    cnn, rnn = CNNOnsetProcessor(), RNNOnsetProcessor()
    pick_cnn = OnsetPeakPickingProcessor(threshold=0.54, smooth=0.05, fps=100)
    pick_rnn = OnsetPeakPickingProcessor(threshold=0.35, smooth=0.07, fps=100)
    for detector, curve, pick in (("CNN", cnn, pick_cnn), ("BLSTM x8", rnn, pick_rnn)):
        pick(curve(sys.argv[1]))
        for path in sys.argv[1:]:
            before = time.process_time()
            times = pick(curve(path))
            seconds = time.process_time() - before
            row = {"detector": detector, "file": path, "times": list(map(float, times))}
            print(json.dumps({**row, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()

"""Make frontend.json: what the front-ends compute, to hold later versions to.

Run from the checkout after a change that is meant to change them; every model
must then be trained again: ``python tests/data/make_frontend.py``.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from audiocli.nn.frontend import Stft, StftConfig, fingerprint

CONFIGS = (
    StftConfig(),
    StftConfig(n_fft=2048, hop_length=512, window="hann", sample_rate=44_100),
    StftConfig(n_fft=512, hop_length=160),
)


def main() -> None:
    golden = [
        {"config": asdict(config), "fingerprint": fingerprint(Stft(config))} for config in CONFIGS
    ]
    file = Path(__file__).with_name("frontend.json")
    file.write_text(json.dumps(golden, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

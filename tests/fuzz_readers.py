"""Have atheris look for bytes that the readers of files do not expect.

    python tests/fuzz_readers.py [TARGET ...] [--seconds 20]     (part of make fuzz)

atheris changes what it feeds to a reader by what the reader's code then does. A reader may refuse
its file by an `AudioCliError`; anything else it raises is a fault. Each target has a process of its
own; the input of a fault is kept, and named. Without atheris (`pip install 'audiocli[fuzz]'`)
nothing is done. Exits with 1 if there was a fault.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

warnings.simplefilter("ignore")

#: What each target begins with.
SEEDS = {
    "audio": b"RIFF4\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0\x80>\0\0\2\0\x10\0data\x10\0\0\0"
    + bytes(range(16)),
    "beats": b"0.50\t1\n1.00\t2\n",
    "onsets": b"0.50\n1.00\n",
    "segments": b"0.0\t1.5\tC:maj\n1.5\t3.0\tN\n",
    "notes": b"0.0\t1.5\t60.0\n",
    "table": b"path,label\na.wav,rock\n",
    "list": b"a.wav\nb.wav\n",
    "manifest": json.dumps(
        {"schema": "audiocli.manifest/2", "record": "run", "command": "", "settings": {}}
    ).encode()
    + b"\n",
}


def readers() -> dict[str, Callable[[Path], object]]:
    """Give what reads a file of each target."""
    from audiocli.batch.inputs import find_inputs
    from audiocli.batch.manifest import Manifest
    from audiocli.io import audio
    from audiocli.io.formats.reading import read_beats, read_instants, read_segments
    from audiocli.io.formats.scores import read_notes
    from audiocli.tasks.label_tables import read_table

    def manifest(path: Path) -> object:
        with closing(Manifest(path, {}, None, True)) as opened:
            return opened.latest

    return {
        "audio": audio.read,
        "beats": read_beats,
        "onsets": read_instants,
        "segments": read_segments,
        "notes": read_notes,
        "table": read_table,
        "list": lambda path: find_inputs([], files_from=str(path)),
        "manifest": manifest,
    }


def accepts(reader: Callable[[Path], object], path: Path, content: bytes) -> bool:
    """Write and read a file; say whether the reader took it, and let its faults through."""
    from audiocli.errors import AudioCliError

    path.write_bytes(content)
    try:
        reader(path)
    except AudioCliError:
        return False
    return True


def fuzz(target: str, seconds: int, folder: Path) -> None:
    """Feed a reader for some seconds; libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["audiocli"]):
        reader = readers()[target]
    (folder / "seeds").mkdir()
    (folder / "seeds/first").write_bytes(SEEDS[target])
    path = folder / "file"
    words = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/fault-", "-max_len=4096"]
    words += ["-rss_limit_mb=4096", "-timeout=20", "-verbosity=0"]
    atheris.Setup(
        [sys.argv[0], *words, str(folder / "seeds")],
        lambda content: None if accepts(reader, path, content) else None,  # libFuzzer wants None
    )
    atheris.Fuzz()


def main() -> None:
    """Run each target in a process, and print a line for it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(SEEDS))
    parser.add_argument("--seconds", type=int, default=20, help="for each target")
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = sorted(set(given.targets) - set(SEEDS))
    if unknown:
        parser.error(f"no target {unknown[0]!r}: {', '.join(SEEDS)}")
    if importlib.util.find_spec("atheris") is None:
        print("readers: left out, atheris is not there: pip install 'audiocli[fuzz]'")
        return
    if given.within:
        fuzz(given.targets[0], given.seconds, given.within)
    faults = 0
    for target in given.targets or SEEDS:
        began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-"))
        words = [target, "--seconds", str(given.seconds), "--within", str(folder)]
        done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
        wrong = done.returncode != 0
        faults += wrong
        seconds = time.monotonic() - began
        print(f"{'reader of ' + target:<22} {seconds:6.0f} s  {int(wrong)} faults", flush=True)
        if wrong:
            said = [line for line in done.stdout.splitlines() if line.strip()]
            print("    " + "\n    ".join([f"input: {folder}/fault-*", *said[-12:]]), flush=True)
        else:
            shutil.rmtree(folder)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()

"""Build the wheel, install it in an empty environment, and separate the demo song elsewhere."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def run(*command: object, cwd: Path) -> None:
    # Without PYTHONPATH, so that only what was installed can be found.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([str(part) for part in command], cwd=cwd, env=environment, check=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        run(sys.executable, "-m", "build", "--outdir", scratch / "dist", CHECKOUT, cwd=scratch)
        (wheel,) = (scratch / "dist").glob("*.whl")
        run(sys.executable, "-m", "venv", scratch / "empty", cwd=scratch)
        binaries = scratch / "empty" / ("Scripts" if os.name == "nt" else "bin")
        pip = (binaries / "python", "-m", "pip", "install", "--quiet")
        constraints = ("--disable-pip-version-check", "--constraint", CHECKOUT / "constraints.txt")
        run(*pip, *constraints, wheel, cwd=scratch)
        audiocli = binaries / "audiocli"
        run(audiocli, "models", "verify", cwd=scratch)
        run(audiocli, "demo", "demo", cwd=scratch)
        products = ("--preview", 5, "--report", "song.html")  # the page's template is data
        run(audiocli, "separate", "demo/song.wav", "-o", "preview", *products, cwd=scratch)
        if "<audio" not in (scratch / "song.html").read_text("utf-8"):
            sys.exit("the wheel's audiocli separate --report wrote no players")
        run(audiocli, "separate", "demo/song.wav", "-o", "out", cwd=scratch)
        stems = sorted(path.name for path in (scratch / "out").glob("*.wav"))
        if stems != ["song.accompaniment.wav", "song.vocals.wav"]:
            sys.exit(f"the wheel's audiocli separate wrote {stems}")
        print(f"{wheel.name}: works in an empty environment")


if __name__ == "__main__":
    main()

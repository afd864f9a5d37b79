"""Record a few commands on the demo song, as a picture of a terminal.

    python docs/make_cast.py [FILE]

runs the commands below in an empty folder, and draws what they print into ``docs/images/cast.svg``.
The picture names no font of the network: it takes the reader's own.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COMMANDS = (
    "audiocli demo demo | head -1",
    "audiocli chords demo/song.wav | head -4",
    "audiocli beats demo/song.wav | head -4",
    "audiocli separate demo/song.wav -o stems",
    "audiocli report demo/song.wav -o song.html",
)
WIDTH = 84  # columns
THEME = TerminalTheme(
    (27, 29, 35),
    (226, 229, 236),
    [(27, 29, 35), (240, 120, 138), (118, 200, 147), (217, 167, 90), (109, 179, 226),
     (229, 139, 196), (92, 201, 172), (226, 229, 236)],
)  # fmt: skip
FONT = re.compile(r"@font-face \{.*?\n    \}\n", re.DOTALL)


def run(command: str, folder: Path) -> str:
    """Run a command as a shell does, and give what it prints."""
    tool = f'"{sys.executable}" -m audiocli'
    shell = ["bash", "-eo", "pipefail", "-c", re.sub(r"^audiocli", lambda _: tool, command)]
    done = subprocess.run(shell, cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 141):  # 141: head has seen enough
        sys.exit(f"{command}: {done.stderr}")
    return done.stdout.rstrip("\n")


def main() -> None:
    """Record and draw."""
    file = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent / "images" / "cast.svg"
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        for number, command in enumerate(COMMANDS):
            printed = run(command, Path(folder))
            text = Text("\n" * bool(number))
            text.append("$ ", "bold green").append(command, "bold")
            console.print(text, soft_wrap=True)
            if printed:
                console.print(Text(printed))
    drawn = console.export_svg(title="audiocli", theme=THEME, unique_id="cast")
    drawn = FONT.sub("", drawn).replace("Fira Code, monospace", "ui-monospace, monospace")
    file.write_text(drawn, "utf-8")


if __name__ == "__main__":
    main()

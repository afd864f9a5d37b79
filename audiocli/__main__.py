"""Run audiocli as ``python -m audiocli``."""

from audiocli.cli import main

main()

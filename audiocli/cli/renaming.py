"""Options that had another name once, and are still understood by it."""

from __future__ import annotations

from typing import Final

import click

__all__ = ["RENAMED", "RenamingCommand"]

#: Old name: new name.
RENAMED: Final = {
    "--heard": "--cache-dir",
    "--judge": "--score-on",
    "--least": "--min-clips",
    "--listen": "--frontend",
    "--pitches": "--tta-pitches",
    "--several": "--multi-label",
    "--within": "--pair-within",
}


class RenamingCommand(click.Command):
    """A command that takes its options by their old names too, and names the new one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, with old names replaced, and said so once each."""
        own = {name for param in self.params for name in param.opts}
        words, told = [], set()
        for word in args:
            name, equals, value = word.partition("=")
            new = RENAMED.get(name)
            if new in own and new is not None and name not in own:
                if name not in told:
                    click.echo(f"audiocli: {name} is now called {new}", err=True)
                told.add(name)
                word = new + equals + value
            words.append(word)
        return super().parse_args(ctx, words)

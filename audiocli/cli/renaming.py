"""Options that had another name once, and are still understood by it."""

from __future__ import annotations

from typing import Any, Final

import click

from audiocli.errors import AudioCliError, FieldError, UsageError

__all__ = ["RENAMED", "RenamingCommand"]

#: Old name: new name, with a value where the option now has one.
RENAMED: Final = {
    "--cross-validate": "--folds",
    "--half": "--precision=bfloat16",
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
            if new is not None and new.partition("=")[0] in own and name not in own:
                if name not in told:
                    click.echo(f"audiocli: {name} is now called {new.replace('=', ' ')}", err=True)
                told.add(name)
                word = new + equals + value
            words.append(word)
        return super().parse_args(ctx, self.completed(ctx, words))

    def completed(self, ctx: click.Context, words: list[str]) -> list[str]:
        """Complete the command line; a kind of command may know more than it says."""
        return words

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and name options in the place of the fields of Python."""
        try:
            return super().invoke(ctx)
        except AudioCliError as error:
            if not error.fields:
                raise
            names = {str(param.name): max(param.opts, key=len) for param in self.params}
            kind = UsageError if isinstance(error, FieldError) else type(error)
            raise kind(error.told(names)) from error

"""``audiocli doctor``."""

from __future__ import annotations

import json
import sys

import click

from audiocli.cli.renaming import RenamingCommand


@click.command(cls=RenamingCommand)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
def doctor(as_json: bool) -> None:
    """Check what the commands need: versions, codecs, devices, models, places to write.

    Each line says ok, note (something optional is missing) or bad, and what to do. Exit status 1 if
    anything is bad.
    """
    from audiocli.tasks.checkup import checkup

    findings = checkup()
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], indent=1))
    else:
        for each in findings:
            remedy = f"; {each.remedy}" if each.remedy else ""
            click.echo(f"{each.status:<5} {each.what:<12} {each.found}{remedy}")
    if any(finding.status == "bad" for finding in findings):
        sys.exit(1)

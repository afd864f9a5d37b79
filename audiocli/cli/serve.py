"""``audiocli serve``."""

from __future__ import annotations

import click

from audiocli.cli.options import RequestCommand, device_option, split_words, threads_option

MB = 1_000_000


@click.command(cls=RequestCommand)
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535),
              help="Port to listen on; 0 is any that is free.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen on. Others than this machine's own let those in the network "
              "in who have the token, which goes there unencrypted.")  # fmt: skip
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--sections",
    default="",
    callback=lambda context, option, value: split_words(value),
    help="What pages have, as in audiocli report. [all]",
)
@click.option("--model", default="stereo-drnn", show_default=True, help="Separator of the stems.")
@click.option("--max-file", default=1000, show_default=True, type=click.IntRange(1),
              help="Megabytes of a recording, at most.")  # fmt: skip
@click.option("--max-files", default=100, show_default=True, type=click.IntRange(1),
              help="Recordings at a time, at most.")  # fmt: skip
@click.option("--max-disk", default=20_000, show_default=True, type=click.IntRange(1),
              help="Megabytes of recordings and results together, at most.")  # fmt: skip
@click.option("-j", "--jobs", default=1, show_default=True, type=click.IntRange(1),
              help="Recordings analysed at once, each by a process of its own.")  # fmt: skip
@threads_option
@device_option
def serve(
    port: int,
    host: str,
    opens: bool,
    sections: tuple[str, ...],
    model: str,
    max_file: int,
    max_files: int,
    max_disk: int,
    jobs: int,
    threads: int | None,
    device: str,
) -> None:
    """Serve a page in the browser: drop recordings, and hear, see and download what comes of them.

    Prints the address to open. Each recording gets the page of audiocli report, its stems as FLAC,
    and tables. All stays on this machine, in a temporary folder that is deleted at the end; Ctrl-C
    ends it. Needs audiocli[serve].
    """
    from audiocli.serve import Limits, ServeRequest
    from audiocli.serve import serve as run

    def announce(address: str) -> None:
        click.echo(address)
        click.echo("Open this address in a browser; Ctrl-C ends it.", err=True)
        if opens:
            click.launch(address)

    request = ServeRequest(
        sections=sections,
        model=model,
        device=device,
        host=host,
        port=port,
        limits=Limits(max_file * MB, max_files, max_disk * MB),
        n_jobs=jobs,
        threads=threads,
    )
    try:
        run(request, announce)
    except KeyboardInterrupt:  # the way to end it
        click.echo("audiocli: ended; its files are deleted", err=True)

"""Listen, and clean up behind it."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiocli.batch.signals import signals_raise
from audiocli.batch.sweeping import sweep_dead
from audiocli.errors import FieldError, UsageError
from audiocli.io.scratch import scratch_folder
from audiocli.nn import registry
from audiocli.page.sections import check_sections
from audiocli.serve.recordings import Limits, Recordings
from audiocli.serve.worker import MakeWorker

__all__ = ["Limits", "ServeRequest", "serve"]

#: Seconds that downloads get to end once the server is told to.
GRACE = 2
#: Requests at a time.
CONNECTIONS = 100


@dataclass(frozen=True)
class ServeRequest:
    """What is asked of a server.

    Parameters
    ----------
    sections, model, device
        As in :class:`audiocli.ReportRequest`; stems and tables follow them.
    host : str
        The address to listen on: that of this machine alone by default.
    port : int
        The port; 0 is any that is free.
    limits : Limits
        How much is taken.
    n_jobs : int
        Recordings analysed at once, each in a process with models of its own.
    threads : int, optional
        As in :class:`audiocli.BatchOptions`.

    Examples
    --------
    >>> ServeRequest(port=0).host
    '127.0.0.1'
    """

    sections: Sequence[str] = ()
    model: str = "stereo-drnn"
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int = 8765
    limits: Limits = field(default_factory=Limits)
    n_jobs: int = 1
    threads: int | None = None


def serve(request: ServeRequest, announce: Callable[[str], None] = print) -> None:
    """Serve the page for recordings until the process is interrupted.

    Recordings, results and temporary files are in one private folder, which is deleted at the end.

    Parameters
    ----------
    request : ServeRequest
        What is asked for.
    announce : callable
        Told the address to open, with its token, once requests are answered.

    Raises
    ------
    UsageError
        If the port cannot be listened on, or the packages that serve are not installed.
    ModelError
        If there is no such model.
    """
    try:
        import uvicorn

        from audiocli.serve.app import make_app
    except ImportError as error:
        raise UsageError(
            f"this needs starlette and uvicorn ({error}): pip install 'audiocli[serve]'"
        ) from error
    sections = check_sections(request.sections)
    registry.find("separate", request.model)  # what there is not is said before any work
    token = secrets.token_urlsafe(24)
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(_listening(request.host, request.port))
        stack.enter_context(signals_raise())
        sweep_dead(())  # what servers that were killed have left
        folder = Path(stack.enter_context(scratch_folder()))
        maker = MakeWorker(sections, request.model, request.device, request.n_jobs, request.threads)
        recordings = stack.enter_context(Recordings(folder, maker, request.limits, request.n_jobs))
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            # Cookies are of a machine, whatever the port: each server has a name of its own.
            make_app(recordings, token, f"audiocli-{port}", request.host),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=GRACE,
        )
        announce(f"http://{_address(request.host)}:{port}/?token={token}")
        uvicorn.Server(config).run(sockets=[listening])


def _address(host: str) -> str:
    """Give the part of an address that names this machine, for a browser on it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return f"[{host}]" if address.version == 6 else host


def _listening(host: str, port: int) -> socket.socket:
    """Open a port, so that connections wait from now on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise FieldError(f"{{host}} {host}: is not known ({error.strerror})", "host") from error
    opened = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # on Windows it would share the port with another program
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen()
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            what, fix = "is in use by another program", "choose another, or 0 for any that is free"
        elif error.errno == errno.EACCES:
            what, fix = "may not be listened on", "choose one above 1023"
        else:
            raise FieldError(f"{{host}} {host}: cannot be listened on ({error.strerror}); "
                             "name an address of this machine", "host") from error  # fmt: skip
        raise FieldError(f"{{port}} {port}: {what}; {fix}", "port") from error
    return opened

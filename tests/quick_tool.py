"""The tool, started in a few hundredths of a second: a server that has all loaded, and forks.

A process of its own takes seconds to import torch, which a page with fifty commands cannot spend.
The server imports everything once; a client hands it arguments, folder, environment and its three
streams, and ends with the status of the fork that ran the command. To a shell it is a program like
any other: pipes, redirections and signals of readers that left are real.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Runs the command: a fixture of conftest.py.
Tool = Callable[..., "subprocess.CompletedProcess[bytes]"]

ROOT = Path(__file__).resolve().parent.parent
LOADED = (
    "audiocli.cli", "librosa", "soundfile", "av", "torch", "scipy.signal", "scipy.stats",
    "matplotlib.backends.backend_agg", "pandas", "audiocli.api", "audiocli.tasks.onsets.files",
    "audiocli.tasks.beats.files", "audiocli.tasks.chords.files", "audiocli.tasks.notes.files",
    "audiocli.tasks.separate.files", "audiocli.tasks.features.files", "audiocli.pipelines.analyze",
    "audiocli.tasks.classify.files", "audiocli.tasks.trainer",
)  # fmt: skip
# Without site and by hand, a start of Python is 10 ms.
CLIENT = """#!{python} -ISs
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    text = json.dumps([{program!r}, sys.argv[1:], os.getcwd(), dict(os.environ)])
    fds = array.array("i", [0, 1, 2])
    server.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    server.sendall(text.encode("utf-8", "surrogateescape"))
    server.shutdown(socket.SHUT_WR)
    status = int(server.recv(16) or 70)
os._exit(status)
"""


@contextmanager
def quick_tool(folder: Path) -> Iterator[Path]:
    """Serve ``audiocli`` and ``python`` in a folder of programs, which is given, for a PATH."""
    address, binaries = str(folder / "server"), folder / "bin"
    binaries.mkdir(parents=True)
    for program in ("audiocli", "python"):
        script = binaries / program
        script.write_text(
            CLIENT.format(python=sys.executable, address=address, program=program), "utf-8"
        )
        script.chmod(0o755)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    command = [sys.executable, str(Path(__file__).resolve()), address]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None and server.stdout.readline() == b"ready\n"
            yield binaries
        finally:
            server.terminate()


def _serve(address: str) -> None:
    """Fork for each client, until the server is terminated."""
    import functools
    import importlib

    from audiocli.demo import song

    # Pages begin with the song: its first four bars are enough, and made once.
    song.BARS, song.PHRASES = song.BARS[:4], song.PHRASES[:1]
    song.compose = functools.cache(song.compose)
    song.compose()
    for name in LOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the supervisors below are waited for by none
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        os.write(1, b"ready\n")
        while True:
            client, _ = listener.accept()
            if not os.fork():
                listener.close()
                _supervise(client)
            client.close()


def _supervise(client: socket.socket) -> None:
    """Run what one client asks for in a child, and send its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    streams = array.array("i")
    _, ancillary, _, _ = client.recvmsg(1, socket.CMSG_SPACE(3 * streams.itemsize))
    streams.frombytes(ancillary[0][2])
    text = b"".join(iter(lambda: client.recv(1 << 16), b""))
    program, arguments, folder, environment = json.loads(text.decode("utf-8", "surrogateescape"))
    child = os.fork()
    if not child:
        client.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, 64)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        _run(program, arguments)
    for stream in streams:
        os.close(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    client.sendall(str(status if status >= 0 else 128 - status).encode())
    os._exit(0)


def _run(program: str, arguments: list[str]) -> None:
    """Be the program, in a process that has the client's streams, and end."""
    import runpy
    import traceback

    from audiocli.cli import main

    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, buffering=buffering, errors=errors, closefd=False)
        for number, mode, buffering, errors in (
            (0, "r", -1, "surrogateescape"),
            (1, "w", -1, "strict"),
            (2, "w", 1, "backslashreplace"),
        )
    )
    sys.argv = [program, *arguments]
    status: object = 0
    try:
        if program == "audiocli":
            main()
        elif arguments[0] == "-c":
            names = {"__name__": "__main__"}
            exec(compile(arguments[1], "block", "exec"), names)  # noqa: S102 - the project's pages
        elif arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
        sys.stdout.flush()
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    if isinstance(status, str):
        print(status, file=sys.stderr)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    _serve(sys.argv[1])

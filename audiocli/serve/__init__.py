"""The page of ``audiocli serve``: recordings go in, pages, stems and tables come out.

A server on this machine, for one person and whom they give the token. Recordings are uploaded one
request each, as the bytes of the body; a worker process (:mod:`audiocli.batch.resident`) makes
their pages with what makes those of ``audiocli report``, and writes stems and tables in the same
pass. All of it is in one private temporary folder, which goes when the server ends.

:mod:`~audiocli.serve.recordings` keeps what was uploaded and what came of it,
:mod:`~audiocli.serve.analysis` is what the worker does, :mod:`~audiocli.serve.guard` decides which
requests are answered, :mod:`~audiocli.serve.app` answers them, and :mod:`~audiocli.serve.server`
listens. The page is in :mod:`audiocli.page`.
"""

from audiocli.serve.server import Limits, ServeRequest, serve

__all__ = ["Limits", "ServeRequest", "serve"]

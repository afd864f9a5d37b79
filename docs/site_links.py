"""A hook of MkDocs: links from pages to files outside of ``docs`` lead to the repository."""

from __future__ import annotations

import posixpath
import re
from typing import Any

LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
#: Pages that are files of the repository's root, included whole.
ROOT_PAGES = {"contributing.md", "changelog.md"}
INCLUDED = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite the links of a page; MkDocs calls this before it renders."""
    source = page.file.src_uri
    if source in ROOT_PAGES:
        folder = ""
        name = {page: root for root, page in INCLUDED.items()}[source]
        with open(name, encoding="utf-8") as stream:
            markdown = stream.read()
    else:
        folder = posixpath.join("docs", posixpath.dirname(source))

    def target(match: re.Match[str]) -> str:
        path, anchor = match[1], match[2] or ""
        place = posixpath.normpath(posixpath.join(folder, path))
        inside = INCLUDED.get(place, place.removeprefix("docs/"))
        if files.get_file_from_path(inside) is not None and (
            place in INCLUDED or place.startswith("docs/")
        ):
            return f"]({posixpath.relpath(inside, posixpath.dirname(source) or '.')}{anchor})"
        return f"]({config.repo_url}/blob/main/{place}{anchor})"

    return LINK.sub(target, markdown)

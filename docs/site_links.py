"""Hooks of MkDocs: links to files outside of ``docs``, and formulas without scripts of others.

Links from pages to files outside of ``docs`` lead to the repository. Formulas become MathML, which
browsers draw by themselves.
"""

from __future__ import annotations

import html
import posixpath
import re
from typing import Any

from latex2mathml.converter import convert

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


#: What the extension ``pymdownx.arithmatex`` makes of formulas.
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.+?)\\[)\]]</\1>', re.DOTALL)


#: What the roles of reStructuredText in docstrings become in Markdown.
ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):(?=<code>)")


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """Turn formulas into MathML and take out roles; MkDocs calls this after it has rendered."""

    def formula(match: re.Match[str]) -> str:
        latex = html.unescape(match[2]).replace(r"\arg", r"\operatorname{arg}")
        display = "block" if match[1] == "div" else "inline"
        return convert(latex.strip(), display=display)

    return FORMULA.sub(formula, ROLE.sub("", content))

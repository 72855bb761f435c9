"""Hooks of the documentation site: adds pages that live outside `docs/` and maps links to them."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
# File of the repository -> file of the site.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
    "benchmarks/growth.svg": "growth.svg",
}
_SOURCE_OF = {page: source for source, page in OUTSIDE.items()}
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_FENCE = re.compile(r"^```.*?^```$", re.M | re.S)


def on_files(files: Files, config: Any) -> Files:
    """Add the files of `OUTSIDE` to the site."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Map links between files of the repository to links between pages of the site.

    Args:
        markdown: The page's text.
        page: The page; `page.file.src_uri` is its place in the site.

    Returns:
        The text with its links mapped. Code blocks stay as they are.
    """
    place = page.file.src_uri
    folder = posixpath.dirname(_SOURCE_OF.get(place, f"docs/{place}"))
    mapped, end = [], 0
    for fence in [*_FENCE.finditer(markdown), None]:
        prose = markdown[end : fence.start() if fence else len(markdown)]
        mapped.append(_LINK.sub(lambda link: f"]({_site_link(folder, link[1], place)}", prose))
        if fence:
            mapped.append(fence[0])
            end = fence.end()
    return "".join(mapped)


def _site_link(folder: str, link: str, place: str) -> str:
    target = posixpath.normpath(posixpath.join(folder, link))  # in the repository
    page = OUTSIDE.get(target, target.removeprefix("docs/"))
    return posixpath.relpath(page, posixpath.dirname(place) or ".")

"""Interactive parts of a page: data of its figures, and the scripts and libraries that draw them, all within the page.

Libraries are those of ``assets/assets.json``; a page has those that it needs once, compressed, with their licences.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_gptff.report.interactive import plotly_figure
from torch_gptff.report.structures import packed_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent

LIBRARIES = {
    "plotly": ("plotly-cartesian.min.js", "plotly-LICENSE.txt", "plots.js"),
    "3dmol": ("3Dmol-min.js", "3Dmol-LICENSE.txt", "viewer.js"),
}
"""Library, its licence, and the script of this package that uses it."""


def json_script(content: Any) -> str:
    """Data as an element of a page. No text in it can end the element."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return f'<script type="application/json">{text.replace("<", chr(92) + "u003c")}</script>'


def figure_data(figure: Figure) -> str | None:
    """Data of an interactive figure as an element of a page; ``None`` where the figure stays still."""
    content = plotly_figure(figure)
    return None if content is None else json_script(content)


def inline_scripts(needed: Collection[str | None]) -> str:
    """Elements with all scripts that the pictures of a page need; empty where none needs any."""
    names = [name for name in LIBRARIES if name in needed]
    if not names:
        return ""
    own = ["page.js", *(LIBRARIES[name][2] for name in names)]
    source = "\n".join((HERE / "scripts" / name).read_text(encoding="utf-8") for name in own)
    libraries = [
        f'<script type="application/gzip" id="library-{name}">{_packed_library(name)}</script>' for name in names
    ]
    return "\n".join([*libraries, f"<script>\n{source}</script>"])


@lru_cache(maxsize=len(LIBRARIES))
def _packed_library(name: str) -> str:
    library, licence, _ = LIBRARIES[name]
    terms = (HERE / "assets" / licence).read_text(encoding="utf-8").replace("*/", "* /")
    return packed_text(f"/*\n{terms}*/\n" + (HERE / "assets" / library).read_text(encoding="utf-8"))

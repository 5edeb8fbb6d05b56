"""Formulas as MathML, which browsers draw themselves: no script and nothing from another host."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', flags=re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """A hook of mkdocs: the page's HTML, with every formula that arithmatex marked turned into MathML."""
    return _FORMULA.sub(_to_mathml, content)


def _to_mathml(match: re.Match[str]) -> str:
    formula = html.unescape(match[3]).strip().replace("‖", r"\,‖\,")
    formula = re.sub(r"(?<![\w{])swish", r"\\mathrm{swish}", formula)
    formula = re.sub(r"(\\begin\{align\*\})\s*(?=\[)", r"\1{}", formula)  # "[" would be read as an option of align
    return convert(formula, display="block" if match[2] == "[" else "inline")

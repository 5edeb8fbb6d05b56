"""Docstrings as the pages need them: reStructuredText to Markdown, in the few forms that the package uses."""

from __future__ import annotations

import re
from textwrap import dedent, indent
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):`(~?)([^`]+)`")
_LINK = re.compile(r"`([^`<]+?)\s+<(http[^>]+)>`_")
_LITERAL = re.compile(r"(?<!`)``(?!`)")
_MATH_ROLE = re.compile(r":math:`([^`]+)`", flags=re.DOTALL)
_MATH_BLOCK = re.compile(r"^( *)\.\. math::\n((?:\n|\1 +.*(?:\n|$))+)", flags=re.MULTILINE)
_CODE_BLOCK = re.compile(r"::\n\n((?:(?: {4}.*)?\n)*? {4}.*)(?=\n\n\S|\n*\Z)")


class MarkdownDocstrings(griffe.Extension):
    """An extension of griffe, which reads the package for mkdocstrings."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(text: str) -> str:
    """One docstring."""
    text = _CODE_BLOCK.sub(lambda match: f":\n\n```python\n{dedent(match[1])}\n```", text)
    text = _MATH_BLOCK.sub(_display, text)
    text = _MATH_ROLE.sub(lambda match: f"${' '.join(match[1].split())}$", text)
    text = _LINK.sub(r"[\1](\2)", text)
    text = _ROLE.sub(lambda match: _reference(match[1], match[2]), text)
    return _LITERAL.sub("`", text)


def _display(match: re.Match[str]) -> str:
    formula = dedent(match[2]).strip()
    if "&" in formula:
        formula = f"\\begin{{align*}}\n{formula}\n\\end{{align*}}"
    return indent(f"\n$$\n{formula}\n$$\n\n", match[1])


def _reference(shorten: str, target: str) -> str:
    shown = target.rsplit(".", 1)[-1] if shorten else target
    if target.startswith("torch_gptff."):  # a link where the page has the object
        return f'<autoref optional identifier="{target}"><code>{shown}</code></autoref>'
    return f"`{shown}`"

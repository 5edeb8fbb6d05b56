"""Options of shell commands in one piece, so that a phone, which breaks long lines, breaks none after its hyphens."""

from __future__ import annotations

import re
from typing import Any

_BLOCK = re.compile(r'<div class="language-bash highlight">.*?</div>', flags=re.DOTALL)
_OPTION = re.compile(r"(?<=[\s>])--?[a-z][\w-]*")


def on_page_content(content: str, **_: Any) -> str:
    """A hook of mkdocs: the page's HTML with the options of its commands set."""
    return _BLOCK.sub(lambda block: _OPTION.sub(r'<span class="option">\g<0></span>', block[0]), content)

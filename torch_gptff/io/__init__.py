"""Files: checkpoints of this package, the published ones, and checkpoints by name."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.io.checkpoint import load, read_header, save
    from torch_gptff.io.fingerprint import fingerprint
    from torch_gptff.io.pretrained import PRETRAINED, load_pretrained
    from torch_gptff.io.published import load_published

__all__ = ["PRETRAINED", "fingerprint", "load", "load_pretrained", "load_published", "read_header", "save"]

import_lazily(
    __name__,
    {
        ".checkpoint": "load read_header save",
        ".fingerprint": "fingerprint",
        ".pretrained": "PRETRAINED load_pretrained",
        ".published": "load_published",
    },
)

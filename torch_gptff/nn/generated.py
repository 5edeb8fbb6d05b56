"""The modules that PyG generates for message passing: their files are removed as soon as they are loaded."""

from __future__ import annotations

import atexit
import linecache
import sys
from pathlib import Path

OURS = ("torch_gptff.", "torch_geometric.nn.models.")
GENERATED = ("_propagate", "_edge_updater")
_looked_at = 0
"""Number of modules that there were the last time."""


@atexit.register
def remove_generated_modules() -> None:
    """Remove the files that PyG wrote for the layers of this package, and for those of the models it takes from PyG.

    PyG writes a module for each class of layers to the folder of temporary files, imports it, and leaves it there. The
    source stays known to tracebacks and to :mod:`inspect`.
    """
    global _looked_at
    if len(sys.modules) == _looked_at:
        return
    _looked_at = len(sys.modules)
    for name, module in list(sys.modules.items()):
        if not (name.startswith(OURS) and name.endswith(GENERATED)):
            continue
        file = Path(getattr(module, "__file__", None) or "")
        if file.name.startswith(f"{name}_") and file.is_file():  # the name of a temporary file, not of a source file
            lines = linecache.getlines(str(file))
            linecache.cache[str(file)] = (sum(map(len, lines)), None, lines, str(file))
            file.unlink(missing_ok=True)

"""A process that computes for the tests of the page: its commands do nothing, each in its own way."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from torch_gptff.errors import RelaxationError
from torch_gptff.serve.watch import Watch
from torch_gptff.serve.worker import work


def run(words: list[str], watch: Watch) -> int:
    """Do what the first word says."""
    kind = words[0]
    print(" ".join(words))
    watch.told("under way", None, None, 0.5)
    watch.flush()
    if kind == "count":
        Path("result.json").write_text("{}")
        Path("report.html").write_text("<h1>a report</h1>")
        Path("notes.exe").write_text("no result")
        Path("link.json").symlink_to("/etc/hostname")
    elif kind == "wait":
        time.sleep(600)
    elif kind == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    elif kind == "crash":
        print("out of luck", file=sys.__stderr__, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif kind == "leave":
        os._exit(7)
    elif kind == "bug":
        raise TypeError("a bug")
    elif kind == "refuse":
        raise RelaxationError("structure.cif cannot be relaxed")
    elif kind == "tell":
        print("warning: structure.cif is odd", file=sys.stderr)
        print("error: structure.cif is wrong", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    work(run)

"""Fuzzing: inputs that are nearly right, drawn by hypothesis for as long as ``FUZZ_SECONDS`` says (20 for each test).

``FUZZ_SECONDS=600 pytest -m fuzz`` runs all of it. Nothing may end in anything but an error of the package or of the
operating system, and nothing may take more than five seconds.
"""

from __future__ import annotations

import faulthandler
import os
import time
import traceback
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import pytest
from fuzzing import Fuzz
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from torch_gptff.errors import GPTFFError

SECONDS = float(os.environ.get("FUZZ_SECONDS", "20"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0"))
EXAMPLES = 100
LIMIT = 5.0
"""Seconds of a processor that one input may take; other work on the machine does not count."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.fuzz)
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # of the libraries, about what they read


@pytest.fixture
def fuzz() -> Fuzz:
    """Runs a function on inputs of a strategy until the time is up, and prints each kind of error once."""

    def run(inputs: SearchStrategy[Any], use: Callable[[Any], None]) -> None:
        found: dict[Hashable, BaseException] = {}

        def check(value: Any) -> None:
            faulthandler.dump_traceback_later(300, exit=True)  # a loop in C cannot be interrupted
            start = time.process_time()
            try:
                use(value)
            except (GPTFFError, OSError):
                pass
            except Exception as error:
                if kind(error) not in found:
                    raise
            finally:
                faulthandler.cancel_dump_traceback_later()
            seconds = time.process_time() - start
            assert seconds < LIMIT, f"took {seconds:.1f} s"

        end, number, tried = time.monotonic() + SECONDS, FIRST_SEED, 0
        while time.monotonic() < end:
            one = settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate, Phase.shrink),
                print_blob=False,
            )
            try:
                seed(number)(one(given(inputs)(check)))()
            except Exception as error:
                for each in getattr(error, "exceptions", [error]):  # several are a group
                    print(f"seed {number}: {each!r:.300}")
                    found[kind(each)] = each
            number, tried = number + 1, tried + EXAMPLES
        print(f"{tried} inputs in {SECONDS:.0f} s, up to seed {number - 1}: {len(found)} kinds of errors")
        for error in found.values():
            traceback.print_exception(error)
        assert not found, f"{len(found)} kinds of errors, printed above"

    return run


def kind(error: BaseException) -> Hashable:
    """Errors are of one kind if they are of one class and left the package at one place."""
    root = error.__cause__ if isinstance(error, AssertionError) and error.__cause__ is not None else error
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(root.__traceback__)]
    package = [place for place in places if "torch_gptff" in place[0]]
    return type(root), (package or places)[-1]

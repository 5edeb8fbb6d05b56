"""Running one test of a suite inside a test."""

from __future__ import annotations

from collections.abc import Sequence

import pytest


def run_one(pytester: pytest.Pytester, source: str, test: str) -> tuple[Sequence, Sequence, Sequence]:
    """Run a test of the class ``TestIt`` in ``source``.

    Returns:
        The reports of tests that passed, that were skipped or failed as expected, and that failed.
    """
    module = pytester.makepyfile(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # plugins would be imported again for every run
        outcomes = pytester.inline_run("-p", "no:cacheprovider", f"{module}::TestIt::{test}").listoutcomes()
    assert sum(map(len, outcomes)) == 1, f"{test} was not run"
    return outcomes

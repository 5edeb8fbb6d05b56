"""The commands of development: ``nox -l`` lists them, ``nox -s tests`` runs one.

They run in the current environment and install nothing, since a fresh one would download a PyTorch for GPUs.
"""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests in two processes; arguments go to pytest: ``nox -s tests -- tests/nn -x``."""
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types of the package, the examples and the scripts of the documentation."""
    session.run("mypy", *session.posargs)


@nox.session
def format(session: nox.Session) -> None:
    """Format the code and sort imports."""
    session.run("ruff", "format")
    session.run("ruff", "check", "--fix")


@nox.session
def docs(session: nox.Session) -> None:
    """Draw the pictures of the documentation, and build it with warnings as errors into docs/_build."""
    session.run("python", "docs/architecture.py")
    session.run("python", "docs/pictures.py")
    session.run("mkdocs", "build", "--strict", "-f", "docs/mkdocs.yml")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Run random structures, settings and options, ten minutes for each test."""
    session.run("pytest", "-m", "fuzz", "-s", *session.posargs, env={"FUZZ_SECONDS": "600"})


@nox.session
def ci(session: nox.Session) -> None:
    """Run what the continuous integration runs, in an environment of its own."""
    session.run(".ci/run", external=True)

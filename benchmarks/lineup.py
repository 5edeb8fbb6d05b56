"""Who takes part in a benchmark, under which name, with which weights and in which environment."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from environments import python_of

from torch_gptff import GPTFFConfig
from torch_gptff.cache import cache_folder
from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.io import read_header
from torch_gptff.io.pretrained import SHIPPED

PUBLISHED = {"v1": GPTFFConfig.v1(), "v2": GPTFFConfig.v2()}
ARCHITECTURES = {
    "small": GPTFFConfig(),
    "large": GPTFFConfig.large(),
    "paper": GPTFFConfig.paper(),
    "harmonic": GPTFFConfig.paper(angle_update="harmonic", angle_cutoff=5.0),
}
"""With random weights."""

UNIVERSAL = (DEFAULT_MODEL, "gptff-universal-large")
"""The models that come with the package."""

OURS = ["gptff-v1", "gptff-v2", *UNIVERSAL, *ARCHITECTURES]
"""The models of this package, in the order of the tables: others are compared with the first that takes part."""

REQUIREMENTS = {"chgnet": ["chgnet==0.3.8"], "matgl": ["matgl==2.0.4"]}
"""Of the opponents from PyPI. The weights that matgl is given here need this version."""


@dataclass(frozen=True)
class Opponent:
    """One line of a table.

    Attributes:
        name: what the tables call it
        adapter: its module in ``opponents/``
        arguments: of the adapter's functions
        python: the interpreter it runs in
        config: of the GPTFF that it computes, for the count of its arithmetic; ``None`` for other models
        against: the line it is compared with; ``None`` for those that others are compared with
        same_weights: whether it must give the numbers of ``against``
    """

    name: str
    adapter: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    config: GPTFFConfig | None = None
    against: str | None = None
    same_weights: bool = False


def add_opponent_options(parser: argparse.ArgumentParser, adapters: list[str]) -> None:
    """The options that say who takes part."""
    parser.add_argument("--models", nargs="+", choices=OURS, default=OURS, help="of this package")
    parser.add_argument("--opponents", nargs="*", choices=adapters, default=adapters, help="beside it")
    parser.add_argument("--v1", type=Path, help="gptff_v1.pth")
    parser.add_argument("--v2", type=Path, help="gptff_v2.pth")
    parser.add_argument("--reference", type=Path, help="clone of the published code; is installed in an environment")
    parser.add_argument("--reference-python", type=Path, help="interpreter where the published code is installed")
    parser.add_argument("--matgl-model", type=Path, help="folder of a potential of matgl")
    parser.add_argument("--labeller", help="path/to/file.py:Class of a class that labels lists of structures")
    parser.add_argument("--labeller-model", type=Path, help="file of weights that it is built with")
    parser.add_argument("--environments", type=Path, help="folder for them; by default in the user's cache")


def line_up(options: argparse.Namespace) -> list[Opponent]:
    """This package first: the published weights, the one that comes with it, and architectures; then the others.

    Raises:
        RuntimeError: the environment of an opponent could not be made.
        SystemExit: no model of this package is left to compare with.
    """
    ours = [each for each in _this_package(options) if each.name in options.models]
    if not ours:
        raise SystemExit(f"{', '.join(options.models)}: give the checkpoint, with --v1 or --v2")
    return [*ours, *(rival for name in options.opponents for rival in _RIVALS[name](options, ours[0].name))]


def _this_package(options: argparse.Namespace) -> Iterator[Opponent]:
    for name, path in _checkpoints(options).items():
        yield Opponent(f"gptff-{name}", "ours", {"checkpoint": str(path)}, config=PUBLISHED[name])
    for name in UNIVERSAL:
        config = GPTFFConfig.from_dict(read_header(SHIPPED[name])["config"])
        yield Opponent(name, "ours", {"checkpoint": name}, config=config)
    for name in ARCHITECTURES:
        yield of_architecture(name)


def of_architecture(name: str) -> Opponent:
    """One of :data:`ARCHITECTURES`."""
    config = ARCHITECTURES[name]
    return Opponent(name, "ours", {"config": config.to_dict()}, config=config)


def _checkpoints(options: argparse.Namespace) -> dict[str, Path]:
    return {name: path.resolve() for name, path in (("v1", options.v1), ("v2", options.v2)) if path}


def _published(options: argparse.Namespace, against: str) -> list[Opponent]:
    if not _checkpoints(options) or not (options.reference or options.reference_python):
        return _left_out("the published code", "--reference and --v1 or --v2")
    python = options.reference_python or _environment(options, "gptff", [str(options.reference.resolve())])
    return [
        Opponent(
            f"published {name}",
            "published",
            {"checkpoint": str(path)},
            python,
            config=PUBLISHED[name],
            against=f"gptff-{name}",
            same_weights=True,
        )
        for name, path in _checkpoints(options).items()
    ]


def _chgnet(options: argparse.Namespace, against: str) -> list[Opponent]:
    python = _environment(options, "chgnet", REQUIREMENTS["chgnet"])
    return [Opponent("CHGNet", "chgnet", python=python, against=against)]


def _matgl(options: argparse.Namespace, against: str) -> list[Opponent]:
    if options.matgl_model is None:
        return _left_out("matgl", "--matgl-model")
    python = _environment(options, "matgl", REQUIREMENTS["matgl"])
    return [Opponent("matgl", "matgl", {"folder": str(options.matgl_model.resolve())}, python, against=against)]


def _labeller(options: argparse.Namespace, against: str) -> list[Opponent]:
    if options.labeller is None or options.labeller_model is None:
        return _left_out("a labeller", "--labeller and --labeller-model")
    arguments = {"labeller": str(Path(options.labeller).resolve()), "model": str(options.labeller_model.resolve())}
    return [Opponent(options.labeller_model.stem, "labeller", arguments, against=against)]


def _schnet(options: argparse.Namespace, against: str) -> list[Opponent]:
    return [Opponent("SchNet", "schnet", against=against)]


def _dimenet(options: argparse.Namespace, against: str) -> list[Opponent]:
    return [Opponent("DimeNet++", "dimenet", against=against)]


_RIVALS = {
    "published": _published,
    "chgnet": _chgnet,
    "matgl": _matgl,
    "labeller": _labeller,
    "schnet": _schnet,
    "dimenet": _dimenet,
}


def _environment(options: argparse.Namespace, name: str, requirements: list[str]) -> Path:
    folder = options.environments or cache_folder() / "benchmarks"
    key = hashlib.sha256(" ".join(requirements).encode()).hexdigest()[:8]
    return python_of(f"{name}-{key}", requirements, folder)


def _left_out(who: str, wanted: str) -> list[Opponent]:
    print(f"without {who}: it needs {wanted}", file=sys.stderr)
    return []

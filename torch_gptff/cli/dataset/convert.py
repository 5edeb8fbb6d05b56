"""``torch-gptff dataset convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from torch_gptff.cli import options, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch_gptff.datasets import Source

Kind = Literal["lmdb", "on-disk", "in-memory"]


def convert(
    data: sources.Data,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="OUT",
            help="Folder of the dataset, or a file that ends in .extxyz or .xyz.",
            callback=options.new_file,
        ),
    ],
    format: sources.Format = None,
    option: sources.Options = None,
    source: sources.SourceName = None,
    kind: Annotated[Kind, typer.Option("--kind", help="Format of the stored dataset.")] = "lmdb",
    cutoff: Annotated[
        float | None, typer.Option(help="Also store the bonds up to this length, Å.", show_default=False)
    ] = None,
    angle_cutoff: Annotated[
        float | None, typer.Option(help="Also store the angles between bonds up to this length, Å.", show_default=False)
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Store data as one dataset, read from then on at once: in any order, by many processes, larger than memory."""
    from torch_gptff.cli.errors import tell_notes
    from torch_gptff.cli.output import make_console, print_line

    if angle_cutoff is not None and (cutoff is None or angle_cutoff > cutoff):
        raise typer.BadParameter("angles need bonds of at least their cutoff (--cutoff)", param_hint="--angle-cutoff")
    tell_notes()
    console = make_console()
    with sources.watched(data, format, option, source, console) as found:
        n_frames = _store(found, out, kind, cutoff, angle_cutoff)
    print_line(console, f"{n_frames:,} frames -> {out}")


def _store(sources: Sequence[Source], out: Path, kind: str, cutoff: float | None, angle_cutoff: float | None) -> int:
    """Write the frames of sources, whole or not at all; return their number."""
    from torch_geometric.transforms import Compose

    from torch_gptff import datasets
    from torch_gptff.datasets.extxyz import write_extxyz
    from torch_gptff.graph import BondAngles, PeriodicRadiusGraph

    if out.suffix in (".extxyz", ".xyz"):
        return write_extxyz(out, datasets.read_sources(sources))
    transforms: list[Any] = [] if cutoff is None else [PeriodicRadiusGraph(cutoff)]
    transforms += [] if angle_cutoff is None else [BondAngles(angle_cutoff)]
    kinds: dict[str, Any] = {
        "lmdb": datasets.LMDBCrystalDataset,
        "on-disk": datasets.OnDiskCrystalDataset,
        "in-memory": datasets.CrystalDataset,
    }
    graph = Compose(transforms) if transforms else None
    return len(kinds[kind](out, sources, pre_transform=graph, log=False, force_reload=True))

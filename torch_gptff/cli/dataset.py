"""``torch-gptff dataset``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from torch_gptff.cli.existing import new_file
from torch_gptff.cli.options import Overwrite

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Look at, store and split data with energies, forces and stresses.",
)

Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA",
        help="Files or folders: extxyz and whatever else ASE reads, ASE databases, vasprun.xml and OUTCAR, DeePMD npy "
        "systems, JSON of MPtrj, MatPES, mlearn and ACWF, the published GPTFF's CSV, a stored dataset; or a published "
        "dataset by name, such as [bold]mlearn[/bold].",
        show_default=False,
    ),
]
Format = Annotated[
    str | None, typer.Option("--format", help="The format of DATA. By default told by its name and content.")
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="An option of the format: [bold]type_map=Li,Ge,P,S[/bold], [bold]energy_key=dft_energy[/bold], "
        "[bold]stress_unit=kbar[/bold], ...",
        show_default=False,
    ),
]
SourceName = Annotated[
    str | None,
    typer.Option("--source", help="What to call DATA. Energies of one source share their reference."),
]


class Kind(str, Enum):
    """How a dataset is stored."""

    lmdb = "lmdb"
    on_disk = "on-disk"
    in_memory = "in-memory"


class By(str, Enum):
    """What a split goes by."""

    material = "material"
    formula = "formula"
    chemical_system = "chemical-system"
    random = "random"
    element = "element"
    given = "given"


@app.command()
def inspect(
    data: Data,
    format: Format = None,
    option: Options = None,
    source: SourceName = None,
    elements: Annotated[bool, typer.Option("--elements", help="List every element.")] = False,
    json: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="OUT", help="Write everything to a JSON file.", show_default=False, callback=new_file
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Say what data hold: elements, labels and their distributions, what stands out, and whether units look right."""
    from torch_gptff.cli.dataset_sources import opened
    from torch_gptff.cli.dataset_tables import print_statistics, write_statistics
    from torch_gptff.cli.errors import tell, tell_notes
    from torch_gptff.cli.output import make_console
    from torch_gptff.datasets import dataset_statistics

    tell_notes()
    console = make_console()
    statistics = dataset_statistics(opened(data, format, option, source, console))
    if json is not None:
        write_statistics(json, statistics)
    print_statistics(console, statistics, all_elements=elements)
    for suspicion in statistics.suspicions:
        tell("warning", suspicion)


@app.command()
def convert(
    data: Data,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="OUT",
            help="The folder of the dataset; or a file that ends in .extxyz or .xyz.",
            callback=new_file,
        ),
    ],
    format: Format = None,
    option: Options = None,
    source: SourceName = None,
    kind: Annotated[Kind, typer.Option("--kind", help="How the dataset is stored.")] = Kind.lmdb,
    cutoff: Annotated[
        float | None, typer.Option(help="Store the bonds within this distance too, in Å ...", show_default=False)
    ] = None,
    angle_cutoff: Annotated[
        float | None, typer.Option(help="... and the angles between those within this one.", show_default=False)
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Store data as one dataset, read from then on at once: in any order, by many processes, larger than memory."""
    from torch_gptff.cli.dataset_sources import store, watched
    from torch_gptff.cli.errors import tell_notes
    from torch_gptff.cli.output import make_console, print_line

    if angle_cutoff is not None and (cutoff is None or angle_cutoff > cutoff):
        raise typer.BadParameter("angles need bonds of at least their cutoff (--cutoff)", param_hint="--angle-cutoff")
    tell_notes()
    console = make_console()
    with watched(data, format, option, source, console) as sources:
        n_frames = store(sources, out, kind.value, cutoff, angle_cutoff)
    print_line(console, f"{n_frames:,} frames -> {out}")


@app.command()
def split(
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The split, as JSON.", show_default=False, callback=new_file),
    ] = None,
    overwrite: Overwrite = False,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", help="Check this split of DATA for leaks.", show_default=False),
    ] = None,
    by: Annotated[By, typer.Option("--by", help="What stays together, or is held out.")] = By.material,
    fractions: Annotated[
        str, typer.Option(help="Of train and test, or of train, validation and test.")
    ] = "0.8,0.1,0.1",
    elements: Annotated[
        str | None, typer.Option(help="With --by element: those to hold out, as Li,O.", show_default=False)
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Make so many folds instead of fractions.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 0,
    format: Format = None,
    option: Options = None,
    source: SourceName = None,
) -> None:
    """Divide data for training, validation and test, reproducibly and without leaks; or check such a split."""
    from torch_gptff.cli.dataset_sources import opened
    from torch_gptff.cli.dataset_splits import describe, made_split
    from torch_gptff.cli.output import make_console
    from torch_gptff.datasets import Split, check_leaks
    from torch_gptff.datasets.table import FrameTable

    if (out is None) == (check is None):
        raise typer.BadParameter("name the file to write (--out), or the one to check (--check)")
    if check is None and (by is By.element) != (elements is not None):
        raise typer.BadParameter("--by element and --elements go together", param_hint="--elements")
    console = make_console()
    table = FrameTable.of(opened(data, format, option, source, console))
    if check is not None:
        divided = Split.load(check)
        check_leaks(divided, table)
        describe(console, divided, table, f"{check}: no leaks")
    else:
        assert out is not None
        divided = made_split(table, by.value, fractions, elements, folds, seed)
        divided.save(out)
        describe(console, divided, table, f"-> {out}")

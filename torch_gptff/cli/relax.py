"""``torch-gptff relax``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from torch_gptff.cli import options
from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.errors import ExistingResultsError, JournalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.cli.each import Input, Run, Tell
    from torch_gptff.cli.results import Results
    from torch_gptff.io.output_names import OutputNames
    from torch_gptff.workflows import Relaxation, RelaxationStep
    from torch_gptff.workflows.md.trajectory import TrajectoryFile

Optimizer = Literal["LBFGS", "FIRE", "BFGS"]
"""Names of :data:`torch_gptff.workflows.OPTIMIZERS`."""

STEPS_BETWEEN_LINES = 50
"""Relaxation steps between two lines of progress, where there is no terminal."""

JOURNAL = "unfinished.jsonl"
"""File of a run of ``--batch`` in the folder of the results, until all are there."""


def relax(
    context: typer.Context,
    files: options.Files,
    model: options.Model = DEFAULT_MODEL,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of structures and trajectories.")
    ] = Path("relaxed"),
    fmax: Annotated[float, typer.Option(help="Largest force on an atom at convergence, eV/Å.", min=0)] = 0.05,
    smax: Annotated[
        float, typer.Option(help="Largest stress component at convergence where the cell relaxes, GPa.", min=0)
    ] = 0.1,
    fix_cell: Annotated[bool, typer.Option("--fix-cell", help="Relax positions only.")] = False,
    optimizer: Annotated[Optimizer, typer.Option(help="Optimizer of the relaxation.", case_sensitive=False)] = "LBFGS",
    max_steps: options.MaxSteps = 500,
    pressure: Annotated[float, typer.Option(help="External pressure on crystals, GPa.", max=1000)] = 0.0,
    keep_symmetry: Annotated[
        bool, typer.Option("--keep-symmetry", help="Keep the space groups of crystals, found to 0.01 Å.")
    ] = False,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch",
            help="Relax many structures together, with one call of the model per step: faster for small crystals; "
            "writes no trajectories.",
        ),
    ] = False,
    batch_atoms: Annotated[int, typer.Option(help="Largest number of atoms in a batch.", min=1)] = 256,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep the results in the file of --json, or of an unfinished run of --batch, and compute the others.",
            is_eager=True,
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.JsonFile = None,
    report: options.ReportFile = None,
    csv: options.CsvFile = None,
    poscar: Annotated[bool, typer.Option("--poscar", help="Write crystals as POSCAR of VASP, too.")] = False,
    reference: options.Reference = None,
    d3: options.Dispersion = False,
    allow_close: options.AllowClose = False,
    device: options.Device = None,
    dtype: options.Precision = "float32",
) -> None:
    """Relax positions, and the cell where there is one.

    DIR receives each structure as extxyz, crystals also as CIF, and the path of each relaxation as an ASE trajectory.
    """
    from torch_gptff.cli.each import Run
    from torch_gptff.cli.output import write_csv
    from torch_gptff.io.files import claimed
    from torch_gptff.io.output_names import OutputNames
    from torch_gptff.report import Table
    from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
    from torch_gptff.workflows import Relaxation
    from torch_gptff.workflows.reports.relax import relax_report

    if resume and json is None and not batch:
        raise typer.BadParameter("needs --json OUT, the file to go on with, or --batch", param_hint="--resume")
    if batch and d3:
        raise typer.BadParameter("is added to structures one by one: leave out --batch", param_hint="--d3")
    context.with_resource(claimed(out))
    names = OutputNames(out, files, resume=resume, overwrite=overwrite)
    if names.existing and not resume and not overwrite:
        raise ExistingResultsError(f"--out {names.existing[0]} is there already; {options.choices(context)}")
    settings = {
        "fmax": fmax,
        "smax": smax / GPA_PER_EV_PER_ANGSTROM3,
        "fix_cell": fix_cell,
        "pressure": pressure / GPA_PER_EV_PER_ANGSTROM3,
        "keep_symmetry": keep_symmetry,
        "optimizer": optimizer,
        "max_steps": max_steps,
    }
    run = Run(context)
    results = run.results(Relaxation, resume and json is not None)
    paths: dict[str, TrajectoryFile] = {}
    if batch:
        _relax_together(run, results, names, out / JOURNAL, settings, batch_atoms, poscar)
    else:
        files_of = _relax_each(run, results, names, settings, poscar)
        if report is not None:
            paths = _trajectories(results, files_of)
    run.print_records(results.items())
    results.write(run.failures)
    if csv is not None:
        write_csv(csv, Table.of(results.items(), Relaxation.columns, "file", detail=True))
    if report is not None:
        relax_report(results.items(), f"{run.about}.", paths).save(report)
    run.end(all(relaxation.converged for _, relaxation in results.items()))


def _relax_each(
    run: Run, results: Results[Relaxation], names: OutputNames, settings: dict[str, Any], poscar: bool
) -> dict[str, Path]:
    """Relax every structure of every file by itself, and write its trajectory. Returns where, by label."""
    from torch_gptff.cli.output import print_line
    from torch_gptff.io.output_names import with_ending
    from torch_gptff.workflows import relax

    paths: dict[str, Path] = {}

    def compute(atoms: Atoms, calculator: GPTFFCalculator, tell: Tell) -> Relaxation:
        path = paths[tell.label] = names.take(tell.label)
        names.require_free(path)

        def show(step: RelaxationStep) -> None:
            words = _words(step, len(atoms))
            tell(words, step)
            if not run.console.is_terminal and step.number and step.number % STEPS_BETWEEN_LINES == 0:
                print_line(run.console, f"{run.short(tell.label)}: {words}")

        return relax(atoms, calculator, **settings, trajectory=with_ending(path, ".traj"), on_step=show)

    def write(relaxation: Relaxation, tell: Tell) -> str:
        path = paths[tell.label]
        return _verdict(relaxation, [*write_final(relaxation, path, poscar), with_ending(path, ".traj")])

    def write_if_missing(relaxation: Relaxation, tell: Tell) -> None:
        path = paths[tell.label] = names.take(tell.label)
        if not with_ending(path, ".extxyz").exists():  # the run was stopped before it wrote the structure
            write_final(relaxation, path, poscar)

    run.each(results, compute, write, kept=write_if_missing)
    return {label: with_ending(path, ".traj") for label, path in paths.items()}


def _trajectories(results: Results[Relaxation], files: dict[str, Path]) -> dict[str, TrajectoryFile]:
    """Paths of the relaxations that a report shows, where they are as they were written: of one that was kept, the
    file may be gone."""
    from torch_gptff.errors import TrajectoryError
    from torch_gptff.workflows.md.trajectory import TrajectoryFile
    from torch_gptff.workflows.reports.frame import MOST_SECTIONS

    found: dict[str, TrajectoryFile] = {}
    for label, relaxation in results.items()[:MOST_SECTIONS]:  # each holds its file open
        with suppress(FileNotFoundError, TrajectoryError):
            frames = TrajectoryFile(files[label])
            if len(frames) == relaxation.n_steps + 1 and frames.damage is None:
                found[label] = frames
    return found


def _relax_together(
    run: Run,
    results: Results[Relaxation],
    names: OutputNames,
    path: Path,
    settings: dict[str, Any],
    batch_atoms: int,
    poscar: bool,
) -> None:
    """Relax every structure of every file, many of them in one batch.

    Raises:
        JournalError: there is an unfinished run that is neither resumed nor replaced; or it has other settings.
    """
    from torch_gptff.cli.output import make_progress, print_line
    from torch_gptff.io.journal import Journal, key_of
    from torch_gptff.io.output_names import with_ending
    from torch_gptff.workflows import Relaxation, relax_many

    if path.exists() and not names.resume:
        if not names.overwrite:
            raise JournalError(f"{path} is of an unfinished run: go on with it (--resume), or replace it (--overwrite)")
        path.unlink()
    inputs: dict[str, Input] = {}
    for each in run.structures():
        with run.failures.alone(each.label):
            run.failures.check(each.content)
            inputs[each.label] = each
    labels, structures = list(inputs), [each.content for each in inputs.values()]
    paths = [names.take(label) for label in labels]
    is_finished = not (path.exists() or len(results) or names.overwrite) and names.resume
    if paths and is_finished and all(with_ending(each, ".extxyz").exists() for each in paths):
        print_line(
            run.console,
            f"nothing left to do: {path.parent} has the {len(paths)} structures of a finished run; with what settings "
            "they were relaxed is not compared, which needs --json",
        )
        return
    journal = Journal(path, run.dependence)
    for number, (label, each) in enumerate(inputs.items()):
        key = key_of(str(number), each.content)
        if key not in journal and results.holds(label, each.digest):
            journal.add(key, results[label].to_dict())
        elif key not in journal:
            names.require_free(paths[number])
    n_relaxed = n_written = 0
    with make_progress(run.console) as progress:
        task = progress.add_task(f"{len(labels)} structures")

        def show(size: int, ended: int) -> None:
            progress.update(task, description=f"{ended} of {len(labels)} done, {size} under way")

        for number, result in relax_many(
            structures, run.potential, **settings, max_atoms=batch_atoms, journal=journal, on_step=show
        ):
            n_relaxed += isinstance(result, Relaxation)
            label = labels[number]
            with run.failures.alone(label):
                if not isinstance(result, Relaxation):
                    raise result
                results.add(label, result, inputs[label].digest)
                results.write_soon()
                written = write_final(result, paths[number], poscar)
                print_line(run.console, f"{run.short(label)}: {_verdict(result, written)}")
                n_written += 1
    run.arrange(results, labels)
    if n_written == n_relaxed:
        journal.remove()


def write_final(relaxation: Relaxation, path: Path, poscar: bool = False) -> list[Path]:
    """Write the structure reached, a crystal as POSCAR too where that is asked for, and return the files that exist
    now."""
    from torch_gptff.io.output_names import with_ending
    from torch_gptff.io.structures import write_poscar, write_structures

    is_crystal = bool(relaxation.final.pbc.all())
    endings = (".extxyz", *([".cif"] if is_crystal else []), *([".poscar"] if is_crystal and poscar else []))
    written = [with_ending(path, ending) for ending in endings]
    for file in written:
        if file.suffix == ".poscar":
            write_poscar(file, relaxation.final)
        else:
            write_structures(file, [relaxation.final])
    return written


def _words(step: RelaxationStep, n_atoms: int) -> str:
    from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3

    stress = "" if step.max_stress is None else f", {step.max_stress * GPA_PER_EV_PER_ANGSTROM3:.2f} GPa"
    return f"step {step.number}: {step.energy / n_atoms:.4f} eV/atom, {step.fmax:.4f} eV/Å{stress}"


def _verdict(relaxation: Relaxation, written: Sequence[Path]) -> str:
    """The end of a relaxation and the names of its files, in one line."""
    converged = "converged" if relaxation.converged else "NOT CONVERGED"
    plural = "" if relaxation.n_steps == 1 else "s"
    files = ", ".join([str(written[0]), *(path.suffix for path in written[1:])])
    remarks = "".join(f"; {remark}" for remark in relaxation.remarks)
    return f"{converged} after {relaxation.n_steps} step{plural}{remarks} -> {files}"

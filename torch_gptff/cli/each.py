"""One computation for each structure of many files: progress, failures that stay alone, results kept as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import typer
from ase import Atoms

from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.cli.errors import Failures
from torch_gptff.cli.options import load_potential
from torch_gptff.cli.output import make_console, make_progress, print_line, print_table, short_labels
from torch_gptff.cli.results import Results, dependence
from torch_gptff.io.identity import structure_digest
from torch_gptff.io.structures import read_labelled
from torch_gptff.record import Record
from torch_gptff.report import Report, Table

R = TypeVar("R", bound=Record)

MOST_NAMED = 5
"""Results of an earlier run that are named where they are left out."""


@dataclass(frozen=True)
class Input:
    """Something that a command computes one record of.

    Attributes:
        label: name, by which its result is stored
        content: a structure, or whatever else the command computes records of
        digest: of the content, by which a result of other content under the same name is told
        place: how far the command is, such as ``"1/3"``
    """

    label: str
    content: Any
    digest: str
    place: str = ""


class Tell:
    """Shows how the computation of one input stands: ``tell("step 3")``.

    Args:
        label: of the input
        show: shows some words beside the label
    """

    def __init__(self, label: str, show: Callable[[str], None]) -> None:
        self.label = label
        self._show = show

    def __call__(self, words: str) -> None:
        self._show(words)


class Run:
    """A command that computes with a model: what it was given, its model, and what has failed so far.

    Args:
        context: of the command, with the shared options of :mod:`torch_gptff.cli.options`

    Attributes:
        given: values of the command's parameters by name
        console: standard output
        failures: inputs that failed
        potential: the model
        calculator: the model as an ASE calculator
        about: the model, its precision and its reference, for a report
    """

    def __init__(self, context: typer.Context) -> None:
        self._context = context
        self.given = context.params
        self.console, self.failures = make_console(), Failures(context)
        model, dtype, reference = (self.given[name] for name in ("model", "dtype", "reference"))
        with self.console.status(f"loading {model}"):
            self.potential = load_potential(model, self.given["device"], dtype, reference)
        self.calculator = GPTFFCalculator(self.potential, device=next(self.potential.parameters()).device)
        named = f", energies of {self.potential.reference}" if self.potential.reference else ""
        self.about = f"{model}, {dtype}{named}"

    @property
    def files(self) -> list[str]:
        """Files that the command was given."""
        return self.given.get("files", [])

    @property
    def short(self) -> Callable[[str], str]:
        """Name of an input on the screen, see :func:`~torch_gptff.cli.output.short_labels`."""
        return short_labels(self.console, self.files)

    def structures_by_file(self) -> Iterator[list[Input]]:
        """Structures of each file; a file that cannot be read fails alone."""
        for number, file in enumerate(self.files, start=1):
            structures: dict[str, Atoms] = {}
            with self.failures.alone(file):
                structures = read_labelled(file)
            place = f"{number}/{len(self.files)}"
            yield [Input(label, atoms, structure_digest(atoms), place) for label, atoms in structures.items()]

    def structures(self) -> Iterator[Input]:
        """Structures of all files, one after the other."""
        for inputs in self.structures_by_file():
            yield from inputs

    @property
    def dependence(self) -> dict[str, Any]:
        """See :func:`~torch_gptff.cli.results.dependence`."""
        return dependence(self._context, self.potential)

    def results(self, kind: type[R], resume: bool) -> Results[R]:
        """Storage of the records, in the file of ``--json`` too.

        Args:
            kind: of the records
            resume: whether the records of the file are kept

        Raises:
            RecordError: the file depends on something else, see :attr:`dependence`.
        """
        return Results(kind, self.given["json"], self.dependence, resume)

    def each(
        self,
        results: Results[R],
        compute: Callable[[Any, GPTFFCalculator, Tell], R],
        verdict: Callable[[R, Tell], str] | None = None,
        inputs: Iterable[Input] | None = None,
        kept: Callable[[R, Tell], None] | None = None,
    ) -> None:
        """Compute a record for each input that has none yet. One that fails leaves the others alone.

        Args:
            results: where records are kept
            compute: from an input's content to its record
            verdict: a record in one line, which is printed once the record is kept; ``None`` to print nothing
            inputs: by default the structures of the files
            kept: called with each record that is kept from an earlier run

        Raises:
            RecordError: the result of an input is there, and the input has changed since.
        """
        short, before = self.short, set(results)
        labels = []
        with make_progress(self.console) as progress:
            for each in self.structures() if inputs is None else inputs:
                labels.append(each.label)
                place = f"{each.place} {short(each.label)}"
                task = progress.add_task(place)

                def show(words: str, place: str = place, task: Any = task) -> None:
                    progress.update(task, description=f"{place} {words}")

                tell = Tell(each.label, show)
                is_known = each.label in before and results.holds(each.label, each.digest)
                with self.failures.alone(each.label):
                    if isinstance(each.content, Atoms):
                        self.failures.check(each.content)
                    if is_known:
                        if kept is not None:
                            kept(results[each.label], tell)
                        if verdict is not None:
                            print_line(self.console, f"{short(each.label)}: done before")
                    else:
                        self.calculator.reset()  # results depend on nothing that was computed before
                        record = compute(each.content, self.calculator, tell)
                        results.add(each.label, record, each.digest)
                        if verdict is not None:
                            print_line(self.console, f"{short(each.label)}: {verdict(record, tell)}")
                progress.remove_task(task)
        self.arrange(results, labels)
        results.write(self.failures)

    def arrange(self, results: Results[R], labels: Sequence[str]) -> None:
        """Put results into the order of the inputs, and say which of an earlier run are left out, because it was of
        other inputs too."""
        aside = results.arrange(labels)
        if aside:
            print_line(
                self.console,
                f"{self.given['json']} has results of {len(aside)} more, which are not named now: they stay there, and "
                f"take no part in what follows ({', '.join(map(self.short, aside[:MOST_NAMED]))}"
                f"{', ...' if len(aside) > MOST_NAMED else ''})",
            )

    def print_records(self, records: Sequence[tuple[str, Record]]) -> None:
        """Print the table of records, where there are some."""
        if records:
            named = [(self.short(label), record) for label, record in records]
            print_table(self.console, Table.of(named, records[0][1].columns, "file"))

    def end(self, is_good: bool = True) -> None:
        """End with the exit code 1 where an input has failed, or where the results are not good."""
        if self.failures or not is_good:
            raise typer.Exit(1)


def run_each(
    context: typer.Context,
    kind: type[R],
    compute: Callable[[Atoms, GPTFFCalculator, Tell], R],
    *,
    verdict: Callable[[R], str],
    report: Callable[[list[tuple[str, R]], str], Report],
    about: str,
    rows: Callable[[R], Sequence[Record]] = lambda record: (record,),
    is_good: Callable[[R], bool] = lambda record: True,
) -> None:
    """Run a command that computes one record for each structure: a table, a JSON file and a report.

    Args:
        context: of the command, see :class:`Run`
        kind: of the records
        compute: from a structure to its record
        verdict: a record in one line
        report: from labels, records and a summary to a page
        about: how results are computed, for the page
        rows: from a record to the records in the rows of the table
        is_good: whether a record is what was asked for; the exit code tells

    Raises:
        typer.Exit: a structure failed, or a record is not good.
        RecordError: see :meth:`Run.results`.
    """
    run = Run(context)
    results = run.results(kind, context.params["resume"])
    run.each(results, compute, lambda record, tell: verdict(record))
    run.print_records([(label, row) for label, record in results.items() for row in rows(record)])
    if len(results) and context.params["report"] is not None:
        report(results.items(), f"{run.about}{about}").save(context.params["report"])
    run.end(all(is_good(record) for _, record in results.items()))

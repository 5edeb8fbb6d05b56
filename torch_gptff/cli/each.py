"""One computation for each structure of many files: progress, failures that stay alone, results kept as they come."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import typer
from ase import Atoms

from torch_gptff.calculators import GPTFFCalculator, with_dispersion
from torch_gptff.cli.errors import Failures, naming
from torch_gptff.cli.options import DType, load_potential
from torch_gptff.cli.output import make_console, make_progress, print_line, print_table, short_labels
from torch_gptff.cli.results import Results, dependence
from torch_gptff.cli.watching import watcher_of
from torch_gptff.errors import GPTFFError
from torch_gptff.io.identity import structure_digest
from torch_gptff.io.structures import read_labelled
from torch_gptff.potential import Potential
from torch_gptff.record import Record
from torch_gptff.report import Report, Table

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

R = TypeVar("R", bound=Record)

BATCH_ATOMS = 4096
"""Number of atoms that completes a batch; the model divides it further by the bonds of its structures."""

PLACE_IN_LIST = re.compile(r"structure (\d+) of the list: ")
"""Beginning of messages about a batch."""

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
        show: shows some words beside the label, to whoever watches with the state reached and the share that is done
    """

    def __init__(self, label: str, show: Callable[[str, Any, float | None], None]) -> None:
        self.label = label
        self._show = show

    def __call__(self, words: str, state: Any = None) -> None:
        """Show some words, and to whoever watches the step of a relaxation."""
        self._show(words, state, None)

    def count(self, what: str, done: int, total: int) -> None:
        """Show how many are done: ``"volume 3 of 13"``."""
        self._show(f"{what} {done} of {total}", None, done / total)

    def done(self, record: Record) -> None:
        """Show that a record was found, and to whoever watches the record."""
        self._show("done", record, 1.0)


Compute: TypeAlias = Callable[[Any, Any, Tell], R]
"""From the content of an input, the model as an ASE calculator, and a display of progress to a record."""

Together: TypeAlias = Callable[[Sequence[Any], GPTFFCalculator], Sequence[R]]
"""From the contents of many inputs and the model as an ASE calculator to their records."""


class Run:
    """A command that computes a record for each input: what it was given, its model, and what has failed so far.

    Args:
        context: of the command, with the shared options of :mod:`torch_gptff.cli.options`; a model is loaded if the
            command has an option for it

    Attributes:
        given: values of the command's parameters by name
        console: standard output
        failures: inputs that failed
        watcher: who follows the command
        about: the model, its precision and its reference, for a report
    """

    def __init__(self, context: typer.Context) -> None:
        self._context = context
        self.given = context.params
        self.console, self.failures = make_console(), Failures(context)
        self.watcher = watcher_of(context)
        self._potential: Potential | None = None
        self._calculator: Any = None
        self.about = ""
        if "model" in self.given:
            self._load(*(self.given[name] for name in ("model", "device", "dtype", "reference")))

    def _load(self, model: str, device: str | None, dtype: DType, reference: str | None) -> None:
        with self.console.status(f"loading {model}"):
            potential = load_potential(model, device, dtype, reference)
        calculator = GPTFFCalculator(potential, device=next(potential.parameters()).device)
        self._potential = calculator.potential
        has_dispersion = bool(self.given.get("d3"))
        self._calculator = with_dispersion(calculator) if has_dispersion else calculator
        named = f", energies of {potential.reference}" if potential.reference else ""
        self.about = f"{model}{' with D3(BJ) dispersion' * has_dispersion}, {dtype}{named}"

    @property
    def calculator(self) -> Any:
        """The model as an ASE calculator, with dispersion where that is asked for."""
        assert self._calculator is not None, "the command has no option for a model"
        return self._calculator

    @property
    def potential(self) -> Potential:
        """The model, without dispersion."""
        assert self._potential is not None, "the command has no option for a model"
        return self._potential

    @property
    def files(self) -> list[str]:
        """Files that the command was given."""
        return self.given.get("files", [])

    @property
    def short(self) -> Callable[[str], str]:
        """Name of an input on the screen, see :func:`~torch_gptff.cli.output.short_labels`."""
        return short_labels(self.console, self.files)

    def groups(self, most_atoms: int = 0) -> Iterator[list[Input]]:
        """Structures of all files in groups; a file that cannot be read fails alone.

        Args:
            most_atoms: number of atoms that completes a group; 0 for groups of one structure
        """
        group: list[Input] = []
        for number, file in enumerate(self.files, start=1):
            structures: dict[str, Atoms] = {}
            problem: Exception | None = None
            with naming(file):
                try:
                    structures = read_labelled(file)
                except (GPTFFError, OSError) as error:
                    problem = error
            if problem is not None:
                if group:  # whose failures are told first
                    yield group
                    group = []
                self.failures.add(file, problem)
            place = f"{number}/{len(self.files)}"
            for label, atoms in structures.items():
                group.append(Input(label, atoms, structure_digest(atoms), place))
                if sum(len(each.content) for each in group) >= most_atoms:
                    yield group
                    group = []
        if group:
            yield group

    def structures(self) -> Iterator[Input]:
        """Structures of all files, one after the other."""
        for group in self.groups():
            yield from group

    @property
    def dependence(self) -> dict[str, Any]:
        """See :func:`~torch_gptff.cli.results.dependence`."""
        return dependence(self._context, self.potential)

    def results(self, kind: type[R], resume: bool, storage: type[Results[R]] = Results) -> Results[R]:
        """Storage of the records, in the file of ``--json`` too.

        Args:
            kind: class of the records
            resume: whether the records of the file are kept
            storage: class that writes and reads the file

        Raises:
            RecordError: the file depends on something else, see :attr:`dependence`.
        """
        path = None if self.given["json"] in (None, "-") else Path(self.given["json"])
        return storage(kind, path, self.dependence, resume)

    def each(
        self,
        results: Results[R],
        compute: Compute[R],
        verdict: Callable[[R, Tell], str] | None = None,
        inputs: Iterable[Input] | None = None,
        kept: Callable[[R, Tell], None] | None = None,
        together: Together[R] | None = None,
    ) -> None:
        """Compute a record for each input that has none yet. One that fails leaves the others alone.

        Args:
            results: where records are kept
            compute: from an input's content to its record
            verdict: a record in one line, which is printed once the record is kept; ``None`` to print nothing
            inputs: by default the structures of the files
            kept: called with each record that is kept from an earlier run
            together: from the structures of a batch to their records; where it raises an error, ``compute`` does one
                structure after the other

        Raises:
            RecordError: the result of an input is there, and the input has changed since.
        """
        before, labels = set(results), []
        groups = self.groups(BATCH_ATOMS if together else 0) if inputs is None else ([each] for each in inputs)
        with make_progress(self.console) as progress:
            try:
                for group in groups:
                    labels += [each.label for each in group]
                    task = progress.add_task(f"{group[-1].place} {self.short(group[-1].label)}")
                    tells = [self._tell(each, progress, task) for each in group]
                    missing = self._missing(list(zip(group, tells, strict=True)), results, before, verdict, kept)
                    found = self._together([each for each, _ in missing], together)
                    for number, (each, tell) in enumerate(missing):
                        with self.failures.alone(each.label):
                            record = self._alone(each, compute, tell) if found is None else found[number]
                            tell.done(record)
                            results.add(each.label, record, each.digest)
                            if found is None:
                                results.write()
                            if verdict is not None:
                                print_line(self.console, f"{self.short(each.label)}: {verdict(record, tell)}")
                    if found is not None:
                        results.write_soon()
                    progress.remove_task(task)
            except BaseException:
                results.write_what_is_missing(self.failures)
                raise
        self.arrange(results, labels)
        results.write(self.failures)

    def _tell(self, each: Input, progress: Progress, task: TaskID) -> Tell:
        place = f"{each.place} {self.short(each.label)}"

        def show(words: str, state: Any, share: float | None) -> None:
            progress.update(task, description=f"{place} {words}")
            self.watcher.told(words, self._calculator, state, share)

        return Tell(each.label, show)

    def _missing(
        self,
        group: Sequence[tuple[Input, Tell]],
        results: Results[R],
        before: set[str],
        verdict: Callable[[R, Tell], str] | None,
        kept: Callable[[R, Tell], None] | None,
    ) -> list[tuple[Input, Tell]]:
        """Inputs of a group that are fit to be computed, and have no record yet."""
        missing = []
        for each, tell in group:
            is_known = each.label in before and results.holds(each.label, each.digest)
            with self.failures.alone(each.label):
                if isinstance(each.content, Atoms):
                    self.failures.check(each.content)
                if not is_known:
                    missing.append((each, tell))
                    continue
                if kept is not None:
                    kept(results[each.label], tell)
                if verdict is not None:
                    print_line(self.console, f"{self.short(each.label)}: done before")
        return missing

    def _alone(self, each: Input, compute: Compute[R], tell: Tell) -> R:
        if self._calculator is not None:
            self._calculator.reset()  # results depend on nothing that was computed before
        return compute(each.content, self._calculator, tell)

    def _together(self, inputs: Sequence[Input], together: Together[R] | None) -> Sequence[R] | None:
        """Records of inputs that were computed in one batch; ``None`` where that is not wanted, or did not work."""
        if together is None or not inputs:
            return None
        with warnings.catch_warnings(record=True) as told:
            try:
                found = together([each.content for each in inputs], self.calculator)
            except GPTFFError:
                return None  # what was warned of is told again when each is computed
        for warning in told:
            number = PLACE_IN_LIST.match(str(warning.message))
            with naming(inputs[int(number[1])].label if number else ""):
                text = PLACE_IN_LIST.sub("", str(warning.message))
                warnings.showwarning(text, warning.category, warning.filename, warning.lineno)
        return found

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
        """Print the table of records, where there are some, and unless standard output has the JSON document."""
        if records and self.given.get("json") != "-":
            named = [(self.short(label), record) for label, record in records]
            columns = records[0][1].columns
            self.watcher.found(Table.of(named, columns, "file", detail=True))
            print_table(self.console, Table.of(named, columns, "file"))

    def end(self, is_good: bool = True) -> None:
        """End with the exit code 1 where an input has failed, or where the results are not good."""
        if self.failures or not is_good:
            raise typer.Exit(1)


def run_each(
    context: typer.Context,
    kind: type[R],
    compute: Compute[R],
    *,
    verdict: Callable[[R], str] | None,
    report: Callable[[list[tuple[str, R]], str], Report],
    about: str,
    rows: Callable[[R], Sequence[Record]] = lambda record: (record,),
    is_good: Callable[[R], bool] = lambda record: True,
    together: Together[R] | None = None,
    storage: type[Results[R]] = Results,
    finish: Callable[[Run, Results[R]], None] | None = None,
) -> None:
    """Run a command that computes one record for each structure: a table, a JSON file and a report.

    Args:
        context: of the command, see :class:`Run`
        kind: class of the records
        compute: from a structure to its record
        verdict: a record in one line; ``None`` to print the table alone
        report: from labels, records and a summary to a page
        about: how results are computed, for the page
        rows: from a record to the records in the rows of the table
        is_good: whether a record is what was asked for; the exit code tells
        together: from the structures of a batch to their records, see :meth:`Run.each`
        storage: class that writes and reads the JSON file
        finish: called with all results, before the table is printed

    Raises:
        typer.Exit: a structure failed, or a record is not good.
        RecordError: see :meth:`Run.results`.
    """
    run = Run(context)
    results = run.results(kind, context.params["resume"], storage)
    run.each(results, compute, (lambda record, tell: verdict(record)) if verdict else None, together=together)
    if finish is not None:
        finish(run, results)
    run.print_records([(label, row) for label, record in results.items() for row in rows(record)])
    if len(results) and context.params["report"] is not None:
        report(results.items(), f"{run.about}{about}").save(context.params["report"])
    run.end(all(is_good(record) for _, record in results.items()))

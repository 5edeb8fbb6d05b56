"""A job: a command with a structure, its state, and what has come of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch_gptff.serve.course import Course
from torch_gptff.serve.kinds import Kind

State = Literal["waiting", "running", "done", "failed", "stopped"]

MOST_LINES = 500
"""Lines of a command that are kept."""

TYPES = {
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".cif": "chemical/x-cif",
    ".extxyz": "text/plain; charset=utf-8",
    ".traj": "application/octet-stream",
}
"""Files that may be downloaded, by their endings, and their media types."""


@dataclass(frozen=True)
class Structure:
    """A file that was uploaded.

    Attributes:
        id: random name
        file: where it is
        name: that it had, for a reader
        looked: one of its structures, see :func:`torch_gptff.serve.worker.look`
    """

    id: str
    file: Path
    name: str
    looked: dict[str, Any]

    def described(self) -> dict[str, Any]:
        """The structure as the page reads it."""
        warnings = [words.replace(self.file.name, self.name) for words in self.looked["warnings"]]
        return {"id": self.id, "name": self.name, **self.looked, "warnings": warnings}


@dataclass
class Job:
    """A job.

    Attributes:
        id: name, also of its folder
        kind: what it does
        structure: what it does it with
        arguments: words of the command line that stand for settings
        folder: where its process works
        number: place among all jobs
        state: how it stands
        words: what the command told last
        share: of the work that is done; ``None`` where it is not known
        error: why it has failed; empty where it has not
        origin: where the error comes from, for whoever mends it
        said: lines of the command, with their kinds
        table: results, see :meth:`torch_gptff.serve.watch.Watch.found`
        course: what it has gone through
        files: results by the names that they are downloaded by
        version: increased by every change
    """

    id: str
    kind: Kind
    structure: Structure
    arguments: list[str]
    folder: Path
    number: int
    course: Course
    state: State = "waiting"
    words: str = ""
    share: float | None = None
    error: str = ""
    origin: str = ""
    said: list[dict[str, str]] = field(default_factory=list)
    table: dict[str, Any] | None = None
    files: dict[str, Path] = field(default_factory=dict)
    began: float | None = None
    ended: float | None = None
    stop: str = ""
    version: int = 0

    @property
    def file(self) -> str:
        """The structure for the command line, in the folder of the job."""
        looked = self.structure.looked
        index = f"@{looked['index']}" if looked["count"] > 1 else ""
        return f"{self.structure.file.name}{index}"

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state not in ("waiting", "running")

    def command(self, model: list[str]) -> list[str]:
        """The words of the command that does it."""
        return [self.kind.name, self.file, *self.arguments, *model, *self.kind.outputs]

    def take(self, message: Mapping[str, Any]) -> None:
        """Take a message of the process."""
        match message["event"]:
            case "begun":
                self.course.begin(message["scene"], message["label"], message["columns"], message["most"])
            case "told":
                self.words, self.share = message.get("words", self.words), message.get("share", self.share)
                self.course.add(message["points"], message["frames"])
            case "found":
                self.table = {"columns": message["columns"], "rows": message["rows"]}
            case "said" if len(self.said) < MOST_LINES:
                self.said.append({"kind": message["kind"], "words": self.named(message["words"])})
        self.version += 1

    def named(self, words: str) -> str:
        """Words of the command, with the name that the file had for the name that it has here."""
        return words.replace(f"{self.folder}/", "").replace(self.structure.file.name, self.structure.name)

    def begin(self) -> None:
        """Note the start."""
        self.state, self.began = "running", time.time()
        self.version += 1

    def end(self, state: State, error: str = "", origin: str = "") -> None:
        """Note the end."""
        self.state, self.error, self.origin, self.ended = state, self.named(error), origin, time.time()
        self.words, self.share = "", None
        self.course.close()
        self.files = self._results()
        self.version += 1

    def _results(self) -> dict[str, Path]:
        if not self.folder.is_dir():
            return {}
        own = self.folder / self.structure.file.name
        stem = f"{self.structure.looked['formula']}-{self.kind.name}"
        return {
            f"{stem}{path.suffix}": path
            for path in sorted(self.folder.rglob("[!.]*"))
            if path.suffix in TYPES and path != own and path.is_file() and not path.is_symlink()
        }

    def described(self, model: list[str]) -> dict[str, Any]:
        """The job as the page reads it, without its course."""
        words = [self.kind.name, self.structure.name, *self.arguments, *model]
        return {
            "id": self.id,
            "number": self.number,
            "kind": self.kind.name,
            "name": self.structure.name,
            **{name: self.structure.looked[name] for name in ("title", "facts", "legend")},
            "command": shlex.join(["torch-gptff", *words]),
            "state": self.state,
            "words": self.words,
            "share": self.share,
            "error": self.error,
            "origin": self.origin,
            "said": self.said,
            "table": self.table,
            "files": {name: path.stat().st_size for name, path in self.files.items() if path.exists()},
            "seconds": None if self.began is None else round((self.ended or time.time()) - self.began, 1),
        }

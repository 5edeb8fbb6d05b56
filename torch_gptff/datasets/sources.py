"""Sources of the frames of a dataset: files and folders, their formats and names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch_gptff.datasets.frames import has_labels
from torch_gptff.datasets.readers import read_frames
from torch_gptff.errors import NoLabelsError
from torch_gptff.graph import CrystalData


@dataclass(frozen=True)
class Source:
    """A file or folder of frames.

    Attributes:
        path: path of the file or folder
        format: a name of :data:`~torch_gptff.datasets.readers.FORMATS`; by default told by name and content
        name: name of the source, given to its frames; by default that of the reader. Frames of one source share the
            energy reference
        options: options of the reader
    """

    path: str | Path
    format: str | None = None
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def read(self) -> Iterator[CrystalData]:
        """The frames.

        Raises:
            NoLabelsError: raised at the end if no frame has a label or another kept field.
            FileNotFoundError, DatasetError, StructureError: see :func:`~torch_gptff.datasets.readers.read_frames`.
        """
        labelled = False
        for frame in read_frames(self.path, self.format, **self.options):
            labelled = labelled or has_labels(frame) or bool(self.options.get("keep"))
            if self.name is not None:
                frame.source = self.name
            yield frame
        if not labelled:
            raise NoLabelsError(
                f"{self.path}: no frame has an energy, forces or a stress; are they under other names "
                "(energy_key, forces_key, stress_key)?"
            )

    def identity(self) -> dict[str, Any]:
        """Identity of the source, stored with frames: name and size of a file, name of a folder, options."""
        path = Path(self.path).expanduser()
        return {
            "path": path.name,
            "bytes": path.stat().st_size if path.is_file() else None,
            "format": self.format,
            "name": self.name,
            "options": {key: _plain(value) for key, value in sorted(self.options.items())},
        }


@dataclass(frozen=True)
class WatchedSource(Source):
    """A source that calls ``tick`` for every frame that is read from it."""

    tick: Callable[[], None] = field(default=lambda: None, compare=False)

    def read(self) -> Iterator[CrystalData]:
        for frame in super().read():
            self.tick()
            yield frame


Sources = str | Path | Source | Iterable[str | Path | Source]


def as_sources(sources: Sources) -> tuple[Source, ...]:
    """A path, a :class:`Source`, or several of them, as a tuple of :class:`Source`."""
    if isinstance(sources, str | Path | Source):
        sources = [sources]
    return tuple(each if isinstance(each, Source) else Source(each) for each in sources)


def read_sources(sources: Sources) -> Iterator[CrystalData]:
    """The frames of all sources, one after another; see :meth:`Source.read`."""
    for source in as_sources(sources):
        yield from source.read()


def _plain(value: Any) -> str | list[str]:
    """The value with tuples as lists, as JSON returns it."""
    return [str(each) for each in value] if isinstance(value, list | tuple) else str(value)

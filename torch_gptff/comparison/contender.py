"""Training and measurement of one model of a comparison, in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from torch_gptff.comparison.record import write_json
from torch_gptff.datasets import Split
from torch_gptff.errors import ConfigError, TrainingError
from torch_gptff.graph import CrystalData
from torch_gptff.training.config import TrainingConfig
from torch_gptff.training.files import BEST, CONFIG, METRICS, SPLIT, STATE

TASK, ANSWER, FRAMES = "task.json", "answer.json", "frames.pt"
RESULT, LOG = "compared.json", "output.txt"
KEYS = ("z", "pos", "cell", "pbc", "energy", "forces", "stress")
POLL = 0.2
"""Interval between two checks of a process, s."""


@dataclass(frozen=True)
class Contender:
    """A model of a comparison.

    Attributes:
        label: name in the comparison
        config: settings of its training
        folder: folder of its run, and of the output of the processes
        accelerator: ``"cpu"``, ``"gpu"`` or ``"auto"``, as Lightning has it
    """

    label: str
    config: TrainingConfig
    folder: Path
    accelerator: str = "auto"

    def result(
        self,
        frames: Sequence[CrystalData],
        resume: bool = False,
        progress: Callable[[str], None] | None = None,
        fingerprint: str | None = None,
    ) -> dict[str, Any]:
        """Errors on the frames held out, and what training and inference cost.

        Args:
            frames: frames on which time and memory are measured
            resume: take the result that the folder holds, or go on with the run that it holds
            progress: called repeatedly with the current stage
            fingerprint: fingerprint of the training data, which a stored result must have

        Raises:
            ConfigError: the folder holds a model of other settings.
            TrainingError: the folder holds a model of other data; or training or measuring failed; names the model.
        """
        path = self.folder / RESULT
        if resume and path.exists():
            if TrainingConfig.from_yaml(self.folder / CONFIG) != self.config:
                raise ConfigError(f"{self.folder} holds a model of other settings: give the same, or another folder")
            if fingerprint not in (None, Split.load(self.folder / SPLIT).fingerprint):
                raise TrainingError(
                    f"{self.folder} holds a model of other data than those that the files hold now: choose another "
                    "folder"
                )
            return json.loads(path.read_text(encoding="utf-8"))
        self.folder.mkdir(parents=True, exist_ok=True)
        common = {"config": self.config.to_dict(), "accelerator": self.accelerator}
        under_way = resume and (self.folder / STATE).exists()
        trained = self._apart({"work": "train", "folder": str(self.folder), "resume": under_way, **common}, progress)
        with tempfile.TemporaryDirectory() as scratch:
            stored = Path(scratch) / FRAMES
            torch.save([{key: frame[key] for key in KEYS} for frame in frames], stored)
            checkpoint = str(self.folder / BEST)
            task = {"work": "measure", "checkpoint": checkpoint, "frames": str(stored), **common}
            cost = self._apart(task, progress)
        answer = {"label": self.label, "model": self.config.model.name, **trained, **cost}
        write_json(path, answer)
        return answer

    def _apart(self, task: Mapping[str, Any], progress: Callable[[str], None] | None) -> dict[str, Any]:
        """The answer of :mod:`torch_gptff.comparison.process`."""
        with tempfile.TemporaryDirectory() as scratch:
            answer = Path(scratch) / ANSWER
            write_json(Path(scratch) / TASK, task)
            command = [sys.executable, "-m", "torch_gptff.comparison.process", scratch]
            with (self.folder / LOG).open("a", encoding="utf-8") as log, _running(command, log) as process:
                while process.poll() is None:
                    if progress is not None:
                        progress(self._stage(task["work"]))
                    time.sleep(POLL)
            if not answer.exists():
                raise TrainingError(
                    f"{self.label}: the process ended with exit code {process.returncode} after it printed "
                    f"{self._last_words()!r}; all of it is in {self.folder / LOG}"
                )
            found = json.loads(answer.read_text(encoding="utf-8"))
        if "error" in found:
            raise TrainingError(f"{self.label}: {found['error']}")
        return found

    def _last_words(self) -> str:
        lines = (self.folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")

    def _stage(self, work: str) -> str:
        """Stage of a process, read from its folder."""
        if work == "measure":
            return "measuring time and memory"
        try:
            done = (self.folder / METRICS).read_text(encoding="utf-8").count("\n") - 1
        except FileNotFoundError:
            done = 0
        return f"epoch {done + 1} of {self.config.epochs}" if done < self.config.epochs else "evaluating"


@contextmanager
def _running(command: Sequence[str], log: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive what waits for it, see :mod:`torch_gptff.comparison.parent`."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()

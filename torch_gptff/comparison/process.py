"""The inside of :mod:`torch_gptff.comparison.contender`: ``python -m torch_gptff.comparison.process FOLDER``.

The folder holds ``task.json`` and the frames to measure with; the answer is written beside them as ``answer.json``.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Batch

from torch_gptff.comparison.contender import ANSWER, TASK
from torch_gptff.comparison.memory import peak_memory
from torch_gptff.comparison.parent import end_with_parent
from torch_gptff.comparison.record import write_json
from torch_gptff.errors import GPTFFError, TrainingError
from torch_gptff.graph import CrystalData
from torch_gptff.io import load
from torch_gptff.potential import Potential
from torch_gptff.training.config import TrainingConfig
from torch_gptff.training.loss import errors, loss

STEPS = 2
"""Number of training steps in which memory is measured; the optimizer has its averages in the second."""


def train(folder: str, config: Mapping[str, Any], accelerator: str, resume: bool) -> dict[str, Any]:
    """Train, and give the errors on the frames held out."""
    from torch_gptff.training.run import train

    run = train(TrainingConfig.from_dict(config), folder, accelerator=accelerator, resume=resume)
    if run.evaluation is None:
        raise TrainingError("nothing was held out to compare by")
    return {
        "epochs": run.epochs,
        "seconds_per_epoch": float(np.nanmedian(run.curves.values("seconds"))),
        "part": run.part,
        "counts": run.evaluation.counts,
        "mae": run.evaluation.mae.to_dict(),
        "rmse": run.evaluation.rmse.to_dict(),
    }


def measure(checkpoint: str, frames: str, config: Mapping[str, Any], accelerator: str) -> dict[str, Any]:
    """The memory of steps of training on frames together, and the time of their inference one by one."""
    on_gpu = accelerator != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    potential = load(checkpoint).to(device)
    records = [CrystalData(**frame) for frame in torch.load(frames, weights_only=True)]
    memory = _memory_of_training(potential, records, TrainingConfig.from_dict(config))
    seconds = [_seconds_of_inference(potential, record) for record in [records[0], *records]]
    return {
        "parameters": sum(weight.numel() for weight in potential.model.parameters()),
        "seconds_per_inference": statistics.median(seconds[1:]),
        "memory": memory,
        "device": torch.cuda.get_device_name(device) if on_gpu else "CPU",
    }


def _memory_of_training(potential: Potential, records: list[CrystalData], config: TrainingConfig) -> int:
    device = next(potential.parameters()).device
    batch = Batch.from_data_list([potential.model.build_graph(record) for record in records]).to(device)
    optimizer = torch.optim.AdamW(potential.parameters(), lr=0.0)

    def steps() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss(errors(potential.evaluate(batch, create_graph=True), batch), config.loss).backward()
            optimizer.step()

    potential.train()
    memory = peak_memory(steps, device)
    potential.eval()
    return memory


def _seconds_of_inference(potential: Potential, record: CrystalData) -> float:
    start = time.perf_counter()
    potential.predict([record])  # the result is copied to the CPU, so that the GPU is done
    return time.perf_counter() - start


def main(folder: Path) -> int:
    """Run the task in the folder, and write the answer or the error."""
    task = json.loads((folder / TASK).read_text(encoding="utf-8"))
    works: dict[str, Callable[..., dict[str, Any]]] = {"train": train, "measure": measure}
    try:
        answer = works[task.pop("work")](**task)
    except (GPTFFError, OSError) as error:
        answer = {"error": str(error)}
    write_json(folder / ANSWER, answer)
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(Path(sys.argv[1])))

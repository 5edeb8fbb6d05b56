"""Names of the files in the folder of a run."""

from __future__ import annotations

CONFIG = "config.yaml"
SPLIT = "split.json"
STATE = "last.ckpt"
BEST = "best.safetensors"
METRICS = "metrics.csv"
EVALUATION = "evaluation.json"
REPORT = "report.html"
RUN = "run.json"

COLUMNS = (
    *("epoch", "step", "lr", "train_loss"),
    *("val_loss", "val_energy_mae", "val_forces_mae", "val_stress_mae", "seconds"),
)
"""Columns of :data:`METRICS`: energies per atom in eV, forces in eV/Å, stresses in eV/Å³."""

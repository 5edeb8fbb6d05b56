"""Evaluation: a model's predictions of labelled frames, and their errors."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.evaluation.evaluate import evaluate
    from torch_gptff.evaluation.record import Evaluation, FrameErrors, GroupErrors
    from torch_gptff.evaluation.scores import Compared, Scores

__all__ = ["Compared", "Evaluation", "FrameErrors", "GroupErrors", "Scores", "evaluate"]

import_lazily(
    __name__,
    {
        ".evaluate": "evaluate",
        ".record": "Evaluation FrameErrors GroupErrors",
        ".scores": "Compared Scores",
    },
)

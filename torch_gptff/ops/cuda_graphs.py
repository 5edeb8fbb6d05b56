"""Work of a GPU that is recorded once, as a CUDA graph, and replayed without Python and without launches one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Work = Callable[[], Sequence[Tensor]]

WARM_UPS = 3
"""Calls before the recording, in which kernels are compiled, libraries start, and what is kept is computed."""


class Recorder:
    """Records work of one device. All recordings share their memory: results last until the next replay of any."""

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, work: Work) -> Work:
        """Record work that neither waits for the GPU nor allocates anything that outlives it.

        Args:
            work: what it reads must stay at its address

        Returns:
            a function that replays it, with whatever stands at those addresses by then

        Raises:
            RuntimeError: the work cannot be recorded.
        """
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            results = work()
        self._pool = graph.pool()

        def replay() -> Sequence[Tensor]:
            graph.replay()
            return results

        return replay

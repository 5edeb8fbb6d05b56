"""Executors of a screening: this process, processes of this machine, or the workers of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def open_executor(scheduler: str | None = None, workers: int = 1) -> Iterator[tuple[Any, int]]:
    """Yield an executor for :func:`~torch_gptff.workflows.screen` and its number of workers.

    The executor is ``None``, which stands for this process, where there is no scheduler and one worker is enough.

    Args:
        scheduler: address of a Dask scheduler whose workers compute
        workers: number of processes of this machine that compute, where there is no scheduler

    Raises:
        ModuleNotFoundError: ``distributed`` is needed and not installed.
        OSError: no scheduler answers at this address.
    """
    if scheduler is None and workers == 1:
        yield None, 1
        return
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with Client(scheduler) as client:
            yield client, max(1, sum(client.nthreads().values()))
        return
    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        yield client, workers

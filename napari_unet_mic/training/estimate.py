"""The estimate: how long a run would take and what memory it needs, from a few timed iterations.

In: the settings of a run that is not started. Out: an `Estimate`. Nothing is written: plans are
read where they are, else made in memory (which reads the training cases once); the batches are
random numbers of the plan's size.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from napari_unet_mic.data.dataset import Dataset, open_dataset
from napari_unet_mic.data.workspace import Workspace
from napari_unet_mic.inference import allocator
from napari_unet_mic.inference.precision import choose_device, choose_precision
from napari_unet_mic.planning.fingerprint import Fingerprint, extract
from napari_unet_mic.planning.plan import Configuration, Plan, read_plan
from napari_unet_mic.planning.rules import plan_experiment
from napari_unet_mic.training.adjust import adjusted, check_classes
from napari_unet_mic.training.faults import is_out_of_memory, out_of_memory
from napari_unet_mic.training.learner import Learner
from napari_unet_mic.training.memory import gpu_bytes, process_bytes
from napari_unet_mic.training.patches import Batch
from napari_unet_mic.training.prepare import check_channels, named_cases, plan_file
from napari_unet_mic.training.settings import RunSettings

ITERATIONS = 3
MOST_SECONDS = 30.0


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take.

    Attributes
    ----------
    seconds_per_iteration
        Of training, the first iteration not counted.
    seconds_per_epoch
        Its training iterations and its validation patches.
    seconds_total
        All epochs (of all folds); preparing the cases and predicting whole cases come on top.
    memory_bytes
        What the process, or torch on a GPU, held while it was timed.
    """

    seconds_per_iteration: float
    seconds_per_epoch: float
    seconds_total: float
    memory_bytes: int
    device: str
    precision: str
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return it as ``unet-mic train … --estimate --json`` prints it."""
        return dataclasses.asdict(self)


def estimate(
    settings: RunSettings,
    *,
    iterations: int = ITERATIONS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Estimate:
    """Time a few iterations of the network that these settings plan.

    Raises
    ------
    BadInput
        The settings do not fit the dataset or the machine.
    """
    allocator.tune()
    dataset = open_dataset(settings.dataset)
    check_classes(settings, dataset)
    plan = adjusted(plan_in_memory(settings, dataset), settings)
    configuration = plan.configuration(settings.configuration)
    check_channels(dataset, plan, configuration)
    device, _ = choose_device(settings.device)
    precision, _ = choose_precision(settings.precision, device)
    learner = Learner(plan, configuration, dataset, settings, device=device, precision=precision)
    try:
        step, look = _timed(learner, random_batch(configuration, dataset), iterations, progress)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not is_out_of_memory(error):
            raise
        raise out_of_memory(configuration, dataset, device, precision, error) from error
    epoch = settings.iterations_per_epoch * step + settings.validation_iterations * look
    total = settings.epochs * epoch * (5 if settings.fold == "each" else 1)
    held = gpu_bytes(device) if device.type == "cuda" else process_bytes()
    name = str(precision).removeprefix("torch.")
    return Estimate(
        step, epoch, total, held, str(device), name, _sentence(settings, step, total, held, device)
    )


def plan_in_memory(settings: RunSettings, dataset: Dataset) -> Plan:
    """Return the plan of these settings: read where it lies, else made without writing it."""
    workspace = Workspace(Path(settings.workspace).expanduser().absolute())
    if settings.test is not None:
        dataset = dataset.with_test(named_cases(settings.test, dataset))
    elif workspace.test_cases_file.is_file():
        dataset = workspace.dataset()
    file = plan_file(settings, workspace)
    if settings.plans or file.exists():
        return read_plan(file)
    if workspace.fingerprint_file.exists():
        fingerprint = Fingerprint.read(workspace.fingerprint_file)
    else:
        fingerprint = extract(dataset)
    return plan_experiment(
        fingerprint,
        dataset.nnunet_json(),
        planner=settings.planner,
        gpu_memory_gb=settings.gpu_memory_gb,
        dataset_name=dataset.name,
    )


def random_batch(configuration: Configuration, dataset: Dataset) -> Batch:
    """Return a batch of the configuration's size: noise, and a box of every class."""
    generator = torch.Generator().manual_seed(0)
    size = (configuration.batch_size, *configuration.patch_size)
    images = torch.randn(
        size[0], len(dataset.channel_names), *configuration.patch_size, generator=generator
    )
    labels = torch.zeros(size, dtype=torch.int16)
    for place, value in enumerate(v for v in dataset.class_values if v != 0):
        labels[..., 2 * place : 2 * place + 2] = value
    return Batch(images, labels, ("noise",) * size[0])


def _timed(
    learner: Learner, batch: Batch, iterations: int, progress: Callable[[int, int], None]
) -> tuple[float, float]:
    """Return the seconds of a training iteration and of a validation iteration."""
    learner.set_rate(0)
    learner.network.train()
    spent: list[float] = []
    began = time.monotonic()
    for done in range(iterations + 1):
        progress(done, iterations + 2)
        at = time.monotonic()
        float(learner.train_step(batch))  # waits for a GPU
        spent.append(time.monotonic() - at)
        if done and time.monotonic() - began > MOST_SECONDS:
            break
    progress(iterations + 1, iterations + 2)
    at = time.monotonic()
    learner.validate([batch])
    look = time.monotonic() - at
    progress(iterations + 2, iterations + 2)
    return statistics.median(spent[1:]), look


def _sentence(
    settings: RunSettings, step: float, total: float, held: int, device: torch.device
) -> str:
    epochs = f"{settings.epochs} epochs" if settings.epochs != 1 else "1 epoch"
    if settings.fold == "each":
        epochs += " of five folds"
    where = "this CPU" if device.type == "cpu" else f"the GPU ({device})"
    return (
        f"About {_span(total)} for {epochs} on {where}: {step:.3g} s per iteration, about "
        f"{held / 1e9:.1f} GB of memory; preparing the cases and predicting whole ones come on top."
    )


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"

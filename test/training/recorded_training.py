"""Small trainings for tests that write down every batch, and may kill themselves before a step.

As a script: recorded_training.py FOLDER STEP OPTIONS; STEP is the step before which it dies, or -1;
OPTIONS are JSON that changes `training_runs.options`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor
from training_runs import READER, options

from training import train
from training.datasets import registry
from training.datasets.sample import Batch
from training.learning.module import Training
from training.learning.recipe import Recipe

Step = Callable[[Training, Batch, int], Tensor]


def recorded(folder: Path, fatal: int = -1) -> Step:
    """Return a training step that adds a line to the file of its process."""
    inner = Training.training_step

    def step(self: Training, batch: Batch, index: int) -> Tensor:
        if self.batches == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        number = self.batches
        loss = inner(self, batch, index)
        line: dict[str, Any] = {"step": number, "loss": float(loss)}
        line["places"] = [round(value, 4) for value in batch.offset.flatten().tolist()]
        with (folder / f"steps-{os.environ.get('RANK', '0')}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        return loss

    return step


def steps(folder: Path, rank: int = 0) -> list[dict[str, Any]]:
    """Return what was written down."""
    return [json.loads(line) for line in (folder / f"steps-{rank}.jsonl").read_text().splitlines()]


def process(
    folder: Path, changes: dict[str, Any], fatal: int = -1, launcher: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Train in processes of their own."""
    folder.mkdir(exist_ok=True)
    words = [sys.executable, *launcher, __file__, str(folder), str(fatal), json.dumps(changes)]
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), str(Path(__file__).parent)])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True)


def main() -> None:
    folder = Path(sys.argv[1])
    registry._READERS["plain"] = READER
    Training.training_step = recorded(folder, int(sys.argv[2]))  # type: ignore[method-assign, assignment]
    train.train(Recipe.of(**options(folder, **json.loads(sys.argv[3]))))


if __name__ == "__main__":
    main()

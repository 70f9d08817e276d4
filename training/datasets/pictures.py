"""Opens pictures, in several processes, to find those that can't be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import cv2
from torch.utils.data import DataLoader, Dataset

from training.datasets.pair import Problem, Reader

_GLANCE = 16  # pixels a side: the file is decoded, little else is done


class _Pictures(Dataset[list[Problem]]):
    """What is wrong with the pictures of rows; a map that rows share is opened for the first."""

    def __init__(self, reader: Reader, rows: Sequence[int]) -> None:
        self.reader, self.rows = reader, rows
        seen: set[str] = set()
        self.first = [str(reader.label(row).aerial_file) for row in rows]
        # Where one map serves all rows, it need not be opened for each of them.
        for i, file in enumerate(self.first):
            self.first[i] = "" if file in seen else file
            seen.add(file)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> list[Problem]:
        label = self.reader.label(self.rows[index])
        looks: list[Callable[[], object]] = [lambda: self.reader.ground(label)]
        if self.first[index]:
            size = min(_GLANCE, label.grid.width)
            grid = replace(label.grid, width=size, height=size, gsd=label.grid.extent[0] / size)
            looks.append(lambda: self.reader.aerial(label, grid))
        problems = []
        for look in looks:
            try:
                look()
            except (ValueError, OSError, cv2.error) as error:  # one bad file must not end it
                line = str(error).strip().replace("\n", " ")
                problems.append(Problem("unreadable", label.name, line))
        return problems


def unreadable(reader: Reader, rows: Sequence[int], workers: int = 0) -> Iterator[list[Problem]]:
    """Yield what is wrong with each row's pictures, in order; mostly nothing."""
    pictures = _Pictures(reader, rows)
    # A forked worker inherits OpenCV's thread pool without its threads, and hangs.
    start = "spawn" if workers else None
    yield from DataLoader(
        pictures, batch_size=None, num_workers=workers, multiprocessing_context=start
    )

"""Which rows make which batch: a function of the seed and the batch's number alone, so that a
training that was killed goes on with the very batches that the unbroken one would have had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from training.datasets.pairs import PairDataset
from training.datasets.sample import Sample

Drawn = tuple[int, int]
"""Epoch and place in the list of usable rows."""


class Order(Sampler[list[Drawn]]):
    """Batches of shuffled or arranged rows, epoch after epoch; a last incomplete one is dropped.

    Args:
        rows: number of usable rows.
        batch: samples per step, over all processes.
        seed: of the shuffling.
        every: batches between validations: one pass through this sampler ends at the next multiple.
        done: asked at the start of each pass: batches taken so far, over the whole training.
        rank, ranks: this process's number and how many there are; each batch is shared out.
        arranged: gives an epoch's order from its random numbers, where a method draws its own way
            (`CrossViewModel.drawing`); None: shuffled.

    Raises:
        ValueError: where a batch can't be filled, or not shared out evenly; one line.
    """

    def __init__(
        self,
        rows: int,
        batch: int,
        seed: int,
        every: int,
        done: Callable[[], int],
        rank: int = 0,
        ranks: int = 1,
        arranged: Callable[[np.random.Generator], NDArray[np.intp]] | None = None,
    ) -> None:
        if batch < 1 or rows < batch:
            raise ValueError(f"batch {batch} of {rows} rows: expected at least one, at most all")
        if batch % ranks:
            raise ValueError(f"batch {batch} over {ranks} processes: expected a multiple of them")
        self.rows, self.batch, self.seed, self.every, self.done = rows, batch, seed, every, done
        self.rank, self.ranks, self.arranged = rank, ranks, arranged
        self._shuffled = lru_cache(maxsize=2)(self._shuffle)

    def __len__(self) -> int:
        return self.every

    def __iter__(self) -> Iterator[list[Drawn]]:
        first = self.done()
        for number in range(first, (first // self.every + 1) * self.every):
            yield self.drawn(number)

    def drawn(self, number: int) -> list[Drawn]:
        """Return this process's share of a batch, the first of the training being 0."""
        epoch, place = divmod(number, self.rows // self.batch)
        whole = self._shuffled(epoch)[place * self.batch : (place + 1) * self.batch]
        return [(epoch, int(row)) for row in whole[self.rank :: self.ranks]]

    def _shuffle(self, epoch: int) -> NDArray[np.intp]:
        rng = np.random.default_rng([self.seed, epoch])
        return rng.permutation(self.rows) if self.arranged is None else self.arranged(rng)


class AtEpoch(Dataset[Sample]):
    """A reader's usable rows, each drawn as its epoch says.

    The epoch travels with the row, so it reaches loader processes that live on through all epochs.

    Args:
        pairs: of which the samples are.
        rows: the usable ones.
    """

    def __init__(self, pairs: PairDataset, rows: Sequence[int]) -> None:
        self.pairs, self.rows = pairs, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, drawn: Drawn) -> Sample:
        epoch, place = drawn
        self.pairs.set_epoch(epoch)
        return self.pairs[self.rows[place]]

"""Where training's samples come from: a dataset's reader, or the endless stream of towns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

from cross_view_localizer.models.contract import CrossViewModel
from training.datasets import registry
from training.datasets.checking.files import usable
from training.datasets.pair import DatasetError, Reader
from training.datasets.pairs import Fit, PairDataset
from training.datasets.sample import Batch, floats, stacked
from training.datasets.town import benchmark
from training.datasets.town_stream import TownStream, shares
from training.learning.order import AtEpoch, Order
from training.town.editions import Edition
from training.town.rigs import BELIEVED_HEIGHTS


@dataclass(frozen=True)
class Loading:
    """How samples are loaded.

    Attributes:
        batch: samples per step, over all processes that train.
        seed: of the order and of what is drawn anew for each sample.
        workers: loader processes beside each process that trains.
        every: samples between validations; None: once per epoch.
    """

    batch: int
    seed: int
    workers: int
    every: int | None = None


@dataclass(frozen=True)
class Towns:
    """Which made-up towns are learned and validated on.

    Attributes:
        editions, no_match_share: as for `TownStream`.
        held_out: editions to validate on; None: those of training.
        towns, frames: validation towns of each of these, and frames of each town.
    """

    editions: Mapping[Edition, float] | None = None
    no_match_share: float = 0.0
    held_out: Sequence[Edition] | None = None
    towns: int = 20
    frames: int = 15


class Resumable(DataLoader[Any]):
    """A loader that needs no state of its own to go on in the middle of an epoch: see `Order`."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the order follows from the batch's number."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""


def loader(dataset: Dataset[Any], workers: int, **options: Any) -> Resumable:
    """Return a loader of batches whose pictures are uint8, pinned where there is a GPU to go to."""
    return Resumable(
        dataset,
        num_workers=workers,
        collate_fn=stacked,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        prefetch_factor=8 if workers else None,
        # A forked worker inherits OpenCV's thread pool without its threads, and hangs.
        multiprocessing_context="spawn" if workers else None,
        **options,
    )


class Samples(lightning.LightningDataModule):
    """Batches for training and validation.

    Attributes:
        done: asked how many batches were taken so far; the trained module sets it.
        epoch: samples of an epoch; None where there are none.
        about: what weights trained on these samples say of them.
    """

    done: Callable[[], int] = staticmethod(lambda: 0)
    epoch: int | None = None
    about: dict[str, Any]

    @property
    def every(self) -> int:
        """Batches between validations."""
        raise NotImplementedError

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Make the pictures float32 where they are used, after they have travelled as bytes."""
        return floats(batch)

    def shared(self) -> tuple[int, int]:
        """Return this process's rank and the number of processes."""
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer else (0, 1)


class StreamSamples(Samples):
    """The endless stream of procedural towns; a resumed training goes on with other samples of it.

    Args:
        model: whose view the samples fit.
        towns: which ones.

    Raises:
        ValueError: a model that needs several frames, or draws its batches; editions kept from
            training, shares that make no sense; one line.
    """

    def __init__(self, model: CrossViewModel, loading: Loading, towns: Towns) -> None:
        super().__init__()
        view = model.view
        few = view.few_frames(1)
        if few or model.drawing() is not None:
            wish = few or f"{type(model).__name__} draws its batches by place"
            raise ValueError(f"the stream of towns gives single random frames; {wish}: give data")
        if towns.no_match_share and not model.tells_no_match:
            raise ValueError(
                f"no_match_share {towns.no_match_share}: {type(model).__name__}, as set, does not "
                "learn to tell pictures of two places: expected 0"
            )
        self.view, self.loading, self.towns = view, loading, towns
        learned = shares(towns.editions)
        judged = towns.held_out or list(learned)
        self.held_out: ConcatDataset[Any] = ConcatDataset(
            PairDataset(
                benchmark(view, "validation", towns.towns, towns.frames, edition=edition),
                view,
                "metric",
            )
            for edition in judged
        )
        self.about = {
            "reference_point": "camera",
            "towns": learned,
            "validated_on": list(judged),
            "no_match_share": towns.no_match_share,
        }
        if set(learned) != {"town-v1"}:
            self.about["camera_heights"] = list(BELIEVED_HEIGHTS)

    @property
    def every(self) -> int:
        """Batches between validations."""
        return max(1, (self.loading.every or 6_400) // self.loading.batch)

    def train_dataloader(self) -> Iterable[Batch]:
        """Batches without end."""
        rank, ranks = self.shared()
        seed = self.loading.seed + 1_000_003 * (rank + ranks * self.done())
        return loader(
            TownStream(
                self.view,
                seed,
                editions=self.towns.editions,
                no_match_share=self.towns.no_match_share,
            ),
            self.loading.workers,
            batch_size=_share(self.loading, ranks),
        )

    def val_dataloader(self) -> Iterable[Batch]:
        """The same frames each time."""
        share = _every_nth(self.held_out, *self.shared())
        return DataLoader(share, batch_size=self.loading.batch, collate_fn=stacked)


class PairSamples(Samples):
    """A dataset's split for training and another for validation.

    Args:
        model: whose view the samples fit, and that may draw its batches its own way.
        train, held_out: their readers.
        fit, vary: as for `PairDataset`.
        skip_problems: leave rows out that have problems, and say how many; else refuse.
        most: validate on at most so many rows, evenly spread.
        say: told how many rows were left out.

    Raises:
        DatasetError: problems that are not to be skipped, or nothing left; one line.
    """

    def __init__(
        self,
        model: CrossViewModel,
        train: Reader,
        held_out: Reader,
        loading: Loading,
        fit: Fit = "tile",
        vary: bool = False,
        skip_problems: bool = False,
        most: int | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        super().__init__()
        if dict(train.tags) == dict(held_out.tags):
            raise DatasetError(
                f"validation has the rows of training ({_tagged(train)}): give validation: another "
                "split, drive or file"
            )
        self.loading, view = loading, model.view
        pairs = PairDataset(train, view, fit, loading.seed, vary)
        self.train = AtEpoch(pairs, _usable(train, "training", skip_problems, say))
        rows = _usable(held_out, "validation", skip_problems, say)
        if most is not None and most < len(rows):
            rows = [rows[i] for i in np.linspace(0, len(rows) - 1, most).round().astype(int)]
        self.held_out = Subset(PairDataset(held_out, view, fit), rows)
        self.epoch = len(self.train) // loading.batch * loading.batch
        self.arranged = _arranged(model, train, self.train.rows, loading.batch)
        self.ordered_by = {"batch": loading.batch, "seed": loading.seed, "rows": len(self.train)}
        first = self.held_out[0], self.train[0, 0]  # a wrong camera or picture shows here
        self.about = {
            "reference_point": first[0].reference_point,
            "data": dict(train.tags),
            "validated_on": dict(held_out.tags),
            "fit": fit,
        }

    @property
    def every(self) -> int:
        """Batches between validations."""
        return max(1, (self.loading.every or self.epoch or 1) // self.loading.batch)

    def state_dict(self) -> dict[str, Any]:
        """What the order of the samples follows from."""
        return self.ordered_by

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse to go on in another order than before."""
        for key, value in self.ordered_by.items():
            if state_dict[key] != value:
                raise ValueError(
                    f"{key} {value}: the checkpoint's is {state_dict[key]}; resume with the same"
                )

    def train_dataloader(self) -> Iterable[Batch]:
        """Batches in an order that follows from the seed and their number."""
        load = self.loading
        every, done, arranged = self.every, self.done, self.arranged
        order = Order(
            len(self.train), load.batch, load.seed, every, done, *self.shared(), arranged=arranged
        )
        return loader(self.train, load.workers, batch_sampler=order)

    def val_dataloader(self) -> Iterable[Batch]:
        """The same rows each time."""
        rank, ranks = self.shared()
        size = _share(self.loading, ranks)
        return loader(_every_nth(self.held_out, rank, ranks), self.loading.workers, batch_size=size)


def readers(
    data: dict[str, Any], validation: dict[str, Any] | None = None, root: str | None = None
) -> tuple[Reader, Reader]:
    """Build the readers of training and validation.

    Args:
        data: "reader": its name, and its options.
        validation: what differs for validation, or another "reader" with all its options; None:
            the split "validation".
        root: of the dataset, where it is not among the options.

    Raises:
        DatasetError: what they refuse; one line.
    """
    options = dict(data)
    name = options.pop("reader", None)
    if name is None:
        raise DatasetError(
            f"data: no reader given: expected reader: {' | '.join(registry.names())}"
        )
    known = registry.options(name)
    if root is not None:
        options["root"] = root
    elsewhere = dict(validation or {})
    if not elsewhere and "split" in known:
        elsewhere = {"split": "validation"}
    if not elsewhere:
        raise DatasetError(f"reader '{name}' has no split: say by validation: what differs for it")
    other = elsewhere.pop("reader", name)
    shared = options if other == name else {}
    return registry.build(name, **options), registry.build(other, **{**shared, **elsewhere})


def _arranged(
    model: CrossViewModel, reader: Reader, rows: Sequence[int], batch: int
) -> Callable[[np.random.Generator], NDArray[np.intp]] | None:
    """Return how the model wants an epoch's rows arranged; None where it does not mind.

    Raises:
        DatasetError: it minds, and nobody knows where the rows are.
    """
    drawing = model.drawing()
    if drawing is None:
        return None
    places = [reader.label(row).place for row in rows]
    if any(place is None for place in places):
        raise DatasetError(
            f"{type(model).__name__} draws its batches by place, and the labels of "
            f"({_tagged(reader)}) have no datum: choose another reader or model"
        )
    whole = np.array(places)
    return lambda rng: drawing.arranged(whole, batch, rng)


def _usable(reader: Reader, use: str, skip: bool, say: Callable[[str], None]) -> list[int]:
    """Return the rows to use; refuse a reader with problems unless they are to be skipped."""
    rows = usable(reader, skip)
    outside = sum(problem.kind == "outside" for problem in reader.problems)
    if outside:
        say(
            f"{use}: {outside} rows left out, their truth lies outside the tile ({_tagged(reader)})"
        )
    return rows


def _tagged(reader: Reader) -> str:
    return ", ".join(f"{key} {value}" for key, value in reader.tags.items())


def _every_nth(dataset: Dataset[Any], rank: int, ranks: int) -> Dataset[Any]:
    """Return a process's share of the rows to validate on."""
    count = len(dataset)  # type: ignore[arg-type]
    return dataset if ranks == 1 else Subset(dataset, range(rank, count, ranks))


def _share(loading: Loading, ranks: int) -> int:
    if loading.batch < 1 or loading.batch % ranks:
        raise ValueError(
            f"batch {loading.batch} over {ranks} processes: expected a positive multiple of them"
        )
    return loading.batch // ranks

"""A model over a reader's rows: what each sample gave, one after the other, so that memory does not
grow with the dataset.

Positions are metres in the frame of the reader's labels, of the reference point that the reader
names. Probabilities are per pixel of the protocol's patch at 512 x 512, as the paper's (section
4.2), whatever cells the model has; log densities are nats per m² and compare between all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from cross_view_localizer.belief.belief import Belief
from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.grid import Grid
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.views import View
from training import metrics
from training.datasets.pair import Label, Reader
from training.datasets.pairs import Fit, ground_view, sample_of
from training.datasets.sample import Batch, Sample, collate

PAPER_PIXELS = 512


class Frame(NamedTuple):
    """One row made ready: its sample, its label, and the error of the told heading, radians."""

    sample: Sample
    label: Label
    told: float


@dataclass(frozen=True)
class Scored:
    """What one sample gave.

    Attributes:
        name, group: of the label.
        truth_x, truth_y, heading: metres and radians.
        centre_error: from the protocol patch's centre: the control without any picture, metres.
        argmax_error: of the greatest cell's centre, the paper's point estimate, metres.
        mode_error: of the sub-pixel mode, metres.
        longitudinal, lateral: of the sub-pixel mode, signed: ahead and left are positive, metres.
        p_truth: probability of the patch's 512 x 512 pixel at the truth; 0 outside the heatmap.
        log_density: at the truth, nats per m²; −inf outside the heatmap.
        p_peak: probability of the greatest cell, per patch pixel: what predictions are ranked by.
        heading_error: estimate − truth, degrees; NaN for methods that take the heading as given.
        told: what was added to the heading that the method was told, degrees.
        cell: metres per heatmap cell.
    """

    name: str
    group: str
    truth_x: float
    truth_y: float
    heading: float
    centre_error: float
    argmax_error: float
    mode_error: float
    longitudinal: float
    lateral: float
    p_truth: float
    log_density: float
    p_peak: float
    heading_error: float
    told: float
    cell: float


@dataclass(frozen=True)
class HeadingNoise:
    """Errors uniform in ± ``degrees``; sample i gets the same share of any range.

    Attributes:
        degrees: half of the range.
        seed: of the draw.
    """

    degrees: float = 0.0
    seed: int = 0

    def __call__(self, index: int) -> float:
        """Return the error of the sample at ``index``, radians, counter-clockwise."""
        if self.degrees == 0:
            return 0.0
        share = np.random.default_rng([self.seed, index]).uniform(-1, 1)
        return math.radians(self.degrees * float(share))


class Frames(Dataset[Frame]):
    """A reader's fixed rows as samples with their labels.

    Args:
        reader: a split of a dataset.
        view: what the model wants.
        fit: as in `PairDataset`.
        noise: of the heading that the method is told.
        shuffled: the control: each sample gets the camera's picture of the row half the set away.
        limit: at most so many rows, drawn once and for all; None takes all.

    Raises:
        ValueError: for a shuffled set of fewer than two rows, or an empty one.
    """

    def __init__(
        self,
        reader: Reader,
        view: View,
        fit: Fit = "tile",
        noise: HeadingNoise | None = None,
        shuffled: bool = False,
        limit: int | None = None,
    ) -> None:
        self.reader, self.view, self.fit = reader, view, fit
        self.noise, self.shuffled = noise or HeadingNoise(), shuffled
        self.rows = drawn(len(reader), limit)
        if len(reader) < (2 if shuffled else 1):
            raise ValueError(
                f"{len(reader)} usable rows in {dict(reader.tags)}: expected at least "
                f"{'two to shuffle' if shuffled else 'one'}"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> Frame:
        index = int(self.rows[position])
        label, turn = self.reader.label(index), self.noise(index)
        sample = sample_of(self.reader, label, self.view, self.fit, turn)
        if self.shuffled:
            sample = self._with_other_ground(sample, index, turn)
        return Frame(sample, label, turn)

    def _with_other_ground(self, sample: Sample, index: int, turn: float) -> Sample:
        other = self.reader.label((index + len(self.reader) // 2) % len(self.reader))
        seen = ground_view(self.reader, other, self.view, self.fit, turn)
        return replace(
            sample,
            ground=seen.image,
            intrinsics=seen.intrinsics,
            rotation=seen.rotation,
            height=seen.height,
        )


def drawn(count: int, limit: int | None) -> NDArray[np.intp]:
    """Return at most ``limit`` of ``count`` indices, ascending; the same ones every time.

    Drawn, not every n-th: lists have periods, such as four tiles for each panorama.
    """
    if limit is None or limit >= count:
        return np.arange(count)
    chosen = np.random.default_rng([count, limit]).choice(count, limit, replace=False)
    return np.sort(chosen)


def score(
    model: LoadedModel,
    frames: Frames,
    batch_size: int = 8,
    workers: int = 0,
    device: str = "auto",
) -> Iterator[Scored]:
    """Run a model and yield what each sample gave, in the reader's order.

    The calibration that the weights carry (temperature, background) is applied; imported and
    freshly trained weights have none, so that their heatmap is the network's softmax.
    """
    place = chosen(device)
    network = model.model.to(place)
    loader: Any = DataLoader(
        frames, batch_size, num_workers=workers, collate_fn=list, persistent_workers=False
    )
    for items in loader:
        batch = moved(collate([item.sample for item in items]), place)
        with torch.inference_mode():
            scores = network(batch.aerial, batch.ground)
        log_mass = scores.log_mass.float().cpu().numpy()
        offsets = scores.yaw_offsets.float().cpu().numpy()
        for one, item in zip(log_mass, items, strict=True):
            yield measured(one, offsets, item, model.model.view, model.calibration)


def measured(
    log_mass: NDArray[np.float32],
    yaw_offsets: NDArray[np.float32],
    frame: Frame,
    view: View,
    calibration: Calibration | None = None,
) -> Scored:
    """Return the figures of one (R, S, S) distribution over headings and places."""
    sample, label, told = frame
    known = calibration or Calibration()
    grid = grid_of(sample, label, view)
    heatmap = Belief.from_scores(log_mass, yaw_offsets, grid, known).heatmap
    truth = sample.position
    row, column = heatmap.argmax_cell()
    found, mode = heatmap.argmax_xy(), heatmap.peak_xy()
    along, across = metrics.longitudinal_lateral([mode], [truth], [sample.heading])
    # From the model's cells to pixels of the patch at the paper's size.
    area = (label.grid.extent[0] / PAPER_PIXELS / grid.gsd) ** 2
    u, v = np.rint(grid.map_to_pixel(truth)).astype(int)
    inside = 0 <= u < grid.width and 0 <= v < grid.height
    turned = math.nan
    if len(yaw_offsets) > 1:
        best = int(log_mass[:, row, column].argmax())
        turned = float(metrics.heading_errors([yaw_offsets[best]], [sample.yaw])[0])
    return Scored(
        name=label.name,
        group=str(label.group),
        truth_x=float(truth[0]),
        truth_y=float(truth[1]),
        heading=sample.heading,
        centre_error=math.dist(label.grid.center, truth),
        argmax_error=math.dist(found, truth),
        mode_error=math.dist(mode, truth),
        longitudinal=float(along[0]),
        lateral=float(across[0]),
        p_truth=area * math.exp(heatmap.log_mass[v, u]) if inside else 0.0,
        log_density=float(heatmap.log_density(truth)),
        p_peak=area * math.exp(heatmap.log_mass[row, column]),
        heading_error=turned,
        told=math.degrees(told),
        cell=grid.gsd,
    )


def grid_of(sample: Sample, label: Label, view: View) -> Grid:
    """Return the heatmap's grid of a sample: where `sample_of` placed it."""
    up = sample.heading - sample.yaw if view.heading_up else label.grid.up
    size = view.output_size
    about_truth = Grid(size, size, sample.cell, (0.0, 0.0), up)
    middle = (size - 1) / 2
    x, y = sample.position - about_truth.pixel_to_map(sample.offset / sample.cell + middle)
    return replace(about_truth, center=(float(x), float(y)))


def chosen(device: str) -> torch.device:
    """Return the device of a name; "auto" takes a GPU where there is one.

    Raises:
        ValueError: where a GPU is asked for that is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device '{device}': no such GPU here: expected 'auto' or 'cpu'")
    return torch.device(device)


def moved(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device."""
    return batch.each(lambda part: part.to(device))

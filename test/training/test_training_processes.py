"""Training in several processes is training in one: the same samples, losses and weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_reader import PlainReader
from recorded_training import process, steps
from training_runs import SETTINGS

from cross_view_localizer.models import registry, weights
from training.datasets.pairs import PairDataset
from training.learning.order import AtEpoch, Order

# A softmax ignores this bias: its gradient is rounding, which Adam makes steps of.
NO_GRADIENT = "decoder.stages.3.conv2.bias"
CHANGES: dict[str, Any] = {
    "samples": 36,
    "steps": {"average": 0.5},
}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["per_sample", "batch_wide"])
def test_two_processes_learn_what_one_does(tmp_path: Path, form: str) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    changes = CHANGES | {"terms": {"nce_form": form}}
    ended = process(alone, changes)
    assert ended.returncode == 0, ended.stderr
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    ended = process(together, changes, launcher=launcher)
    assert ended.returncode == 0, ended.stderr
    one, first, second = steps(alone), steps(together, 0), steps(together, 1)
    assert len(one) == len(first) == len(second) == 9
    for whole, a, b in zip(one, first, second, strict=True):
        assert sorted(whole["places"]) == sorted(a["places"] + b["places"])
        assert (a["loss"] + b["loss"]) / 2 == pytest.approx(whole["loss"], rel=1e-4)
    saved = [weights.load(folder / "tiny.safetensors") for folder in (alone, together)]
    assert saved[0].metadata["validation"] == pytest.approx(
        saved[1].metadata["validation"], rel=1e-3
    )
    for name, tensor in saved[0].model.state_dict().items():
        if name == NO_GRADIENT:
            continue
        torch.testing.assert_close(
            saved[1].model.state_dict()[name], tensor, rtol=1e-3, atol=1e-5, msg=name
        )


def test_processes_share_each_batch_out() -> None:
    alone = Order(10, 4, 7, 5, lambda: 0)
    shares = [Order(10, 4, 7, 5, lambda: 0, rank, 2) for rank in (0, 1)]
    for number in range(7):
        parts = [order.drawn(number) for order in shares]
        assert sorted(parts[0] + parts[1]) == sorted(alone.drawn(number))
        assert len(parts[0]) == 2


def test_an_epoch_takes_each_row_once_and_the_next_in_another_order() -> None:
    order = Order(8, 2, 7, 3, lambda: 0)
    epochs = [[d for n in range(4 * e, 4 * e + 4) for d in order.drawn(n)] for e in (0, 1)]
    assert [sorted(row for _, row in drawn) for drawn in epochs] == [list(range(8))] * 2
    assert {epoch for epoch, _ in epochs[1]} == {1}
    assert [row for _, row in epochs[0]] != [row for _, row in epochs[1]]


def test_each_epoch_draws_a_row_anew(tmp_path: Path) -> None:
    view = registry.build("cvml", SETTINGS).view
    drawn = AtEpoch(PairDataset(PlainReader(tmp_path), view, seed=3), [5, 6, 7])
    first, second = drawn[0, 1], drawn[1, 1]
    assert first.name == second.name == "train:6"
    assert not np.allclose(first.offset, second.offset)
    np.testing.assert_array_equal(drawn[0, 1].offset, first.offset)


def test_a_pass_goes_on_at_the_batch_reached_and_ends_at_the_next_validation() -> None:
    order = Order(8, 2, 7, 3, lambda: 4)
    assert list(order) == [order.drawn(4), order.drawn(5)]
    assert len(order) == 3


@pytest.mark.parametrize(("batch", "ranks"), [(0, 1), (9, 1), (3, 2)])
def test_a_batch_that_can_not_be_filled_or_shared_is_refused(batch: int, ranks: int) -> None:
    with pytest.raises(ValueError, match=f"batch {batch} ") as error:
        Order(8, batch, 7, 3, lambda: 0, 0, ranks)
    assert "\n" not in str(error.value)

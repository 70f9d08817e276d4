from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from cross_view_localizer.prior.stamped_buffer import StampedBuffer


@given(st.lists(st.integers(0, 100), min_size=1), st.integers(-5, 105))
def test_it_is_a_sorted_list_of_the_last_span(stamps: list[int], asked: int) -> None:
    buffer: StampedBuffer[tuple[int, int]] = StampedBuffer(30)
    model: dict[int, tuple[int, int]] = {}
    for index, stamp in enumerate(stamps):
        buffer.add(stamp, (stamp, index))
        model[stamp] = (stamp, index)
        model = {s: v for s, v in model.items() if s >= max(model) - 30}
    ordered = sorted(model)
    assert len(buffer) == len(ordered) and buffer.newest == ordered[-1]
    place = bisect_right(ordered, asked)
    before = model[ordered[place - 1]] if place else None
    after = model[ordered[place]] if place < len(ordered) else None
    assert buffer.around(asked) == (before, after)
    assert buffer.between(asked, asked + 10) == [
        model[s] for s in ordered if asked <= s <= asked + 10
    ]
    assert buffer.last(2) == [model[s] for s in ordered[-2:]]
    buffer.clear()
    assert buffer.newest is None and buffer.around(asked) == (None, None)

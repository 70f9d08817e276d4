from __future__ import annotations

from cross_view_localizer.prior.stamp_gate import SECOND, StampGate, Verdict


def gate() -> StampGate:
    return StampGate(span=10.0, jump_back=0.5, max_future=1.0)


def admit(it: StampGate, stream: str, seconds: float, now: float | None = None) -> Verdict:
    clock = None if now is None else round(now * SECOND)
    return it.admit(stream, round(seconds * SECOND), clock)


def test_new_late_and_too_old() -> None:
    it = gate()
    given = [(100.0, Verdict.NEW), (100.0, Verdict.LATE), (99.8, Verdict.LATE)]
    given += [(101.0, Verdict.NEW), (95.0, Verdict.LATE), (102.0, Verdict.NEW)]
    given += [(91.0, Verdict.TOO_OLD), (92.5, Verdict.LATE)]
    assert [admit(it, "fix", seconds) for seconds, _ in given] == [verdict for _, verdict in given]


def test_three_running_have_jumped_back_and_two_have_not() -> None:
    it = gate()
    admit(it, "fix", 100.0)
    assert [admit(it, "fix", s) for s in (50.0, 51.0, 52.0)] == [
        Verdict.TOO_OLD,
        Verdict.TOO_OLD,
        Verdict.JUMP_BACK,
    ]
    assert admit(it, "fix", 53.0) is Verdict.NEW
    assert it.newest == 53 * SECOND
    for seconds in (60.0, 50.0, 50.5, 60.5, 50.0, 50.5, 61.0):
        assert admit(it, "fix", seconds) is not Verdict.JUMP_BACK


def test_streams_of_different_delay_do_not_disturb_each_other() -> None:
    it = gate()
    for second in range(100, 130):
        assert admit(it, "odometry", second) is Verdict.NEW
        assert admit(it, "fix", second - 5.0) is Verdict.NEW


def test_the_clock_decides_where_there_is_one() -> None:
    it = gate()
    assert admit(it, "fix", 100.9, now=100.0) is Verdict.NEW
    assert admit(it, "fix", 101.1, now=100.0) is Verdict.FUTURE
    assert it.offset("fix", round(101.1 * SECOND), 100 * SECOND) == 1.1


def test_others_that_have_stopped_are_no_clock() -> None:
    it = gate()
    admit(it, "odometry", 100.0)
    verdicts = [admit(it, "fix", 101.0 + index) for index in range(40)]
    assert verdicts.count(Verdict.FUTURE) <= 2
    assert verdicts[-20:] == [Verdict.NEW] * 20


def test_what_comes_once_is_judged_but_no_reference() -> None:
    it = gate()
    assert it.judge(5 * SECOND) is Verdict.NEW
    admit(it, "fix", 100.0)
    assert it.judge(89 * SECOND) is Verdict.TOO_OLD
    assert it.judge(111 * SECOND) is Verdict.FUTURE
    assert it.judge(95 * SECOND) is Verdict.NEW
    assert it.judge(102 * SECOND, 100 * SECOND) is Verdict.FUTURE
    assert it.newest == 100 * SECOND

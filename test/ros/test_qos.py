"""Overrides of quality of service: values that fit no policy, and what takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from std_msgs.msg import Empty  # noqa: E402

from cross_view_localizer.ros import qos  # noqa: E402
from cross_view_localizer.ros.parameters import ParameterError  # noqa: E402

Make = Callable[..., Node]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make nodes with overrides, given by what follows "qos_overrides."."""
    context, made = rclpy.Context(), []
    context.init()

    def node(**overrides: Any) -> Node:
        given = [Parameter(f"qos_overrides./fix.{k}", value=v) for k, v in overrides.items()]
        made.append(
            rclpy.create_node(
                "qos_test",
                context=context,
                parameter_overrides=given,
                automatically_declare_parameters_from_overrides=True,
            )
        )
        return made[-1]

    yield node
    for each in made:
        each.destroy_node()
    context.try_shutdown()


@pytest.mark.parametrize(
    ("policy", "value", "words"),
    [
        ("reliability", "best effort", "'best effort': expected one of .*best_effort"),
        ("durability", "unknown", "expected one of .*transient_local"),
        ("history", 3, "is 3: expected one of .*keep_last"),
        ("depth", 0, "is 0: expected a whole number from 1 on"),
        ("depth", 2.0, "is 2.0: expected a whole number"),
    ],
)
def test_a_value_that_does_not_fit_is_named(
    make: Make, policy: str, value: object, words: str
) -> None:
    name = f"subscription.{policy}"
    with pytest.raises(ParameterError, match=rf"qos_overrides\./fix\.{name} .*{words}"):
        qos.check(make(**{name: value}))


def test_overrides_that_nothing_takes_are_told_from_those_taken(make: Make) -> None:
    given = {
        "subscription.depth": 7,
        "subscription.deadline": 3,  # a policy that is not ours to override
        "publisher.depth": 7,  # we only subscribe
    }
    node = make(**given)
    qos.check(node)
    node.create_subscription(
        Empty, "fix", lambda _: None, 10, qos_overriding_options=qos.overridable()
    )
    why = {
        name.removeprefix("qos_overrides./fix."): text for name, text in qos.untaken(node).items()
    }
    # rclpy declares the other policies' defaults, which nobody gave.
    assert why.keys() == given.keys()
    assert why["subscription.depth"] == ""
    for other in ("subscription.deadline", "publisher.depth"):
        assert f"{other} has no effect: expected" in why[other] and "/fix" in why[other]

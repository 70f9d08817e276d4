"""QoS between a bag's metadata and rclpy, and what to ask for of given publishers."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

DEFAULT_DEPTH = 10
MOST = 1000  # the deepest history kept for a latched topic
_CENTURY = 100 * 365 * 86400


def offered_again(recorded: Sequence[Qos], messages: int) -> QoSProfile:
    """Return the profile to offer for a recorded topic.

    Where several publishers wrote the topic, the strongest promise of any of them is offered,
    which serves every subscriber that one of them served. A history that the recorder could not
    see (DDS does not tell it) becomes ``messages`` for latched topics: a late subscriber gets all.
    """
    profile = QoSProfile(depth=DEFAULT_DEPTH)
    if not recorded:
        return profile
    best_effort = all(q.reliability is QosReliability.BEST_EFFORT for q in recorded)
    latched = any(q.durability is QosDurability.TRANSIENT_LOCAL for q in recorded)
    profile.reliability = (
        ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE
    )
    profile.durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    known = [q.depth for q in recorded if q.history is QosHistory.KEEP_LAST and q.depth > 0]
    if len(known) == len(recorded):
        profile.depth = max(known)
    elif latched:
        profile.depth = min(max(messages, 1), MOST)
    for name in ("deadline", "lifespan"):
        spans = [s for q in recorded if (s := _span(getattr(q, name))) is not None]
        if len(spans) == len(recorded):
            setattr(profile, name, max(spans, key=lambda s: int(s.nanoseconds)))
    return profile


def _span(time: QosTime) -> Duration | None:
    """Return a finite span, or None for the many ways of writing "for ever"."""
    finite = 0 < time.sec + time.nsec and time.sec < _CENTURY
    return Duration(seconds=time.sec, nanoseconds=time.nsec) if finite else None


def to_record(profile: QoSProfile) -> Qos:
    """Return what a bag's metadata should say of a publisher's profile."""

    def time(span: Duration) -> QosTime:
        sec, nsec = divmod(int(span.nanoseconds), 10**9)
        return QosTime(sec, nsec)

    return Qos(
        QosHistory[HistoryPolicy(profile.history).name],
        profile.depth,
        QosReliability[ReliabilityPolicy(profile.reliability).name],
        QosDurability[DurabilityPolicy(profile.durability).name],
        time(profile.deadline),
        time(profile.lifespan),
        QosLiveliness[LivelinessPolicy(profile.liveliness).name],
        time(profile.liveliness_lease_duration),
        bool(profile.avoid_ros_namespace_conventions),
    )


def wanted(offers: Sequence[QoSProfile], depth: int = 100) -> QoSProfile:
    """Return the profile that receives from all these publishers, as reliably as all allow."""
    reliable = all(o.reliability == ReliabilityPolicy.RELIABLE for o in offers)
    latched = all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers)
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )

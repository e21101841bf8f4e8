"""What it took to deliver billable events, and what happened to them."""

from typing import NamedTuple

from segment_to_hyperline.hyperline.failures import Failures


class Posts(NamedTuple):
    """The requests to Hyperline that it took to deliver events."""

    seconds: tuple[float, ...] = ()
    """How long each of them took."""
    has_accepted: bool = False
    """Whether Hyperline accepted any of them."""
    accepts_others: bool = False
    """Whether it has accepted any lately, also of earlier invocations."""


class Delivery(NamedTuple):
    """What happened to billable events."""

    failures: Failures
    posts: Posts = Posts()

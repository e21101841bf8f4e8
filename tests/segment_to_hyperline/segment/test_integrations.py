"""Which events Segment sends to a webhook destination."""

from typing import Any

import pytest

from segment_to_hyperline.elements import TooDeep
from segment_to_hyperline.segment.integrations import is_sent
from tests.samples import track

KEY = "Webhooks (Actions)"


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"All": True},
        {"Mixpanel": False},
        {"All": False, KEY: True},
        {"All": False, "Webhook": True},
        {"All": False, KEY: {"a": "setting"}},
        {"All": False, KEY: {}},
        {"All": False, KEY: None},
        {KEY: "false"},
        {KEY.lower(): False},
        {"All": None},
        {"Extensible Webhook": False},
        None,
        [],
        "none",
    ],
)
def test_an_event_is_sent(flags: Any) -> None:
    """Unless the flag of the destination, or else that of all, is false."""
    assert is_sent(track(integrations=flags))


@pytest.mark.parametrize(
    "flags",
    [
        {"All": False},
        {"all": False},
        {"All": False, "Mixpanel": True},
        {"All": False, KEY.lower(): True},
        {"All": True, KEY: False},
        {KEY: False},
        {"Webhook": False},
    ],
)
def test_an_event_is_not_sent(flags: Any) -> None:
    """The names of destinations are case-sensitive, but `All` is not."""
    assert not is_sent(track(integrations=flags))


@pytest.mark.parametrize("name", ["Webhooks", "Extensible Webhook", "Our Destination"])
def test_each_destination_has_its_own_name(name: str) -> None:
    """A flag of another destination doesn't count."""
    assert not is_sent(track(integrations={name: False}), name)
    assert not is_sent(track(integrations={"All": False, KEY: True}), name)
    assert is_sent(track(integrations={KEY: False, "Webhook": False}), name)


@pytest.mark.parametrize("event", [track(), TooDeep({}), 1, None, [{"All": False}]])
def test_what_has_no_flags_is_sent(event: Any) -> None:
    """Also what is no event, so that the mapping says what is wrong with it."""
    assert is_sent(event)

"""Files with waiting events: what a person can change in them, and what not."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from local_stack.segment_requests import write
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.aws.messages import (
    ReceivedMessage,
    StoredEvent,
    create_messages,
)
from segment_to_hyperline.quarantine.edits import Edit, read_file, write_file
from segment_to_hyperline.quarantine.terms import Terms
from segment_to_hyperline.quarantine.waiting import Waiting, read_message
from segment_to_hyperline.reasons import Code
from tests.samples import read_rules, track
from tests.segment_to_hyperline.quarantine.helpers import ATTRIBUTES, RULES, event

NUMBERS = '{"seats":1e+21,"share":0.10,"id":12345678901234567890}'
type Change = Callable[[dict[str, Any]], object]


def receive(*texts: str) -> list[Waiting]:
    """Return the events of a message with these *texts*."""
    stored = [StoredEvent(t, "why", ATTRIBUTES, Code.UNMAPPABLE) for t in texts]
    (message,) = create_messages(stored)
    received = ReceivedMessage("id-1", "handle", message.body, 0, 1, message.attributes)
    return read_message(received, RULES)


def read(text: str, *waiting: Waiting) -> list[Edit]:
    """Return the events of a file, if Quarantine has these *waiting* ones."""
    return read_file("id-1.json", text, {e.place: e for e in waiting}, RULES)


def edit(
    text: str, change: Change, *waiting: Waiting, new_identity: bool = False
) -> str:
    """Return why the first event of a file can't be sent after a *change* of it."""
    content = json.loads(text)
    change(content["events"][0]["event"])
    (first, *_) = read(json.dumps(content), *waiting)
    return first.find_problem(allows_new_identity=new_identity)


@pytest.mark.parametrize("indent", [None, 4])
def test_an_event_that_is_not_edited_stays_as_segment_wrote_it(
    indent: int | None,
) -> None:
    """Another layout of the file, or another spelling of a number, changes nothing."""
    text = f' {{"messageId": "m-0", "properties": {NUMBERS}}}'.strip()
    waiting = receive(text)

    content = write_file(waiting)
    (unchanged,) = read(json.dumps(json.loads(content), indent=indent), *waiting)

    assert NUMBERS in content
    assert (unchanged.text, unchanged.is_changed) == (text, False)


def test_a_file_has_only_the_selected_events_of_its_message() -> None:
    """Their positions say which they are."""
    first, second, third = receive(*(write(event(n)) for n in range(3)))

    edits = read(write_file([first, third]), first, second, third)

    assert [each.waiting.message_id for each in edits] == ["m-0", "m-2"]


def test_an_event_that_is_nested_too_deeply_spoils_no_file() -> None:
    """The others of its message can be sent, also after a purge."""
    deep = f'{{"properties": {"[" * 20_000 + "]" * 20_000}}}'
    waiting = receive(deep, write(event(1)))

    first, second = read(write_file(waiting, is_purged=True))

    assert first.find_problem(allows_new_identity=True) == (
        "would not be billed: the event is null, not an object"
    )
    assert second.find_problem(allows_new_identity=False) == ""
    assert not second.is_changed


def test_what_was_edited_is_shown_and_mapped() -> None:
    """The number is one now, so the event would be billed."""
    waiting = receive(write(event(0, properties={"seats": None})))
    content = json.loads(write_file(waiting))
    content["events"][0]["event"]["properties"]["seats"] = 5

    (edited,) = read(json.dumps(content), *waiting)

    assert edited.find_problem(allows_new_identity=False) == ""
    assert list(edited.diff())[2:] == [
        "@@ -11,3 +11,3 @@",
        '   "properties": {',
        '-    "seats": null',
        '+    "seats": 5',
        "   },",
    ]
    assert json.loads(edited.text)["properties"] == {"seats": 5}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messageId", "m-9"),
        ("event", "Seats Removed"),
        ("type", "page"),
        ("name", "A name"),
    ],
)
def test_the_identity_of_an_event_is_only_changed_on_request(
    field: str, value: str
) -> None:
    """Otherwise an event that Hyperline has already would be billed twice."""
    waiting = receive(write(event(0)))
    text = write_file(waiting)

    def change(data: dict[str, Any]) -> None:
        data[field] = value

    problem = edit(text, change, *waiting)

    is_billed = field != "type"
    assert problem.startswith(f"{field} changed") == is_billed
    assert is_billed or problem == "would not be billed: no rule matches"
    assert (edit(text, change, *waiting, new_identity=True) == "") == is_billed


def test_the_mapping_can_make_another_identity_of_a_property() -> None:
    """It is noticed too, if the event could be billed before."""
    rules = read_rules('type = "track"\nevent_type = "properties.plan"\nrecord = {}')
    (waiting,) = receive(write(event(0)))
    before = read_message(waiting.message, rules)
    content = json.loads(write_file(before))
    content["events"][0]["event"]["properties"]["plan"] = "free"

    (edited,) = read_file("f", json.dumps(content), {before[0].place: before[0]}, rules)

    problem = edited.find_problem(allows_new_identity=False)
    assert problem.startswith("record.id or event_type of the mapping changed")
    assert edited.find_problem(allows_new_identity=True) == ""


def test_an_edit_that_the_mapping_cannot_bill_is_refused() -> None:
    """It would only return to Quarantine."""
    waiting = receive(write(event(0)))

    problem = edit(write_file(waiting), lambda e: e["properties"].clear(), *waiting)

    assert problem == (
        "would not be billed: rule 1 (track): record.seats: properties.seats is missing"
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [("1e400", "a number in it is too large"), (f'"{"x" * 1_033_000}"', "is larger")],
)
def test_an_edit_that_would_be_lost_is_refused(value: str, problem: str) -> None:
    """The Replayer can't read `Infinity`, or return so large an event to Quarantine."""
    properties = f'{{"seats": 3, "x": {value}}}'
    text = write(event(0)).replace('"properties":', f'"properties":{properties},"x":')
    waiting = receive(text)
    content = write_file(waiting)

    (unchanged,) = read(content, *waiting)
    (changed,) = read(content.replace('"event": {', '"event": {"y": 1, '), *waiting)

    assert unchanged.find_problem(allows_new_identity=True) == ""
    assert problem in changed.find_problem(allows_new_identity=True)


@pytest.mark.parametrize("key", ["message", "reason", "code", "attributes", "purged"])
def test_what_identifies_an_event_cannot_be_edited(key: str) -> None:
    """The file has a hash of it."""
    waiting = receive(write(event(0)))
    content = json.loads(write_file(waiting))
    content[key] = {"attributes": {"Environment": "production"}, "purged": True}.get(
        key, "other"
    )

    with pytest.raises(InputError, match="its hash doesn't match: export it again"):
        read(json.dumps(content), *waiting)


def test_an_original_that_was_edited_is_noticed() -> None:
    """A careless `sed` changes it together with the event."""
    waiting = receive(write(event(0)))

    with pytest.raises(InputError, match="its hash doesn't match"):
        read(write_file(waiting).replace("customer-42", "customer-24"), *waiting)


def test_a_file_whose_message_has_gone() -> None:
    """Somebody has redriven it, or reads it now."""
    waiting = receive(write(event(0)))

    with pytest.raises(InputError, match="isn't in Quarantine any more"):
        read(write_file(waiting))


def test_the_file_of_a_purge_needs_no_message() -> None:
    """The event is as it was stored, and has its attributes."""
    waiting = receive(write(event(0)), write(event(1)))
    text = write_file(waiting[1:], is_purged=True)

    (purged,) = read(text)

    assert purged.waiting.place == ("id-1", 1)
    assert purged.text == waiting[1].element.text
    assert purged.waiting.message.attributes == ATTRIBUTES
    assert purged.waiting.message.receipt_handle == ""
    assert read(text, *waiting)[0].waiting.message.receipt_handle == "handle"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"events": 5}', "NaN", "[" * 100_000, '{"events": [{}]}']
)
def test_another_file(text: str) -> None:
    """It is named, and is no traceback."""
    with pytest.raises(InputError, match=r"id-1.json isn't a file of `quarantine"):
        read(text)


TERMS = Terms("sandbox", allows_other=False, is_edited=True, allows_new_identity=True)


@pytest.mark.parametrize(
    ("ids", "seats", "sent"),
    [
        (("m-0", "m-0"), (3, 3), 2),
        (("m-0", "m-0"), (3, 4), 0),
        (("m-0", "m-1"), (3, 3), 0),
        ((None, None), (3, 3), 2),
        ((None, ""), (3, 3), 0),
    ],
)
def test_two_events_are_not_edited_to_the_same_one(
    ids: tuple[str, str], seats: tuple[int, int], sent: int
) -> None:
    """Hyperline would keep only one of them, unless it is one that is stored twice."""
    events = [
        track(messageId=each, properties={"seats": number})
        for each, number in zip(ids, seats, strict=True)
    ]
    waiting = receive(*map(write, events))
    content = json.loads(write_file(waiting))
    for each in content["events"]:
        each["event"]["messageId"] = "same"

    chosen, problems = TERMS.split(read(json.dumps(content), *waiting))

    assert len(chosen) == sent
    assert ["the same event_type and record.id" in each for each in problems] == (
        [True] * (2 - sent)
    )


@pytest.mark.parametrize("selected", [1, 2])
def test_an_event_is_not_edited_to_one_that_stays(selected: int) -> None:
    """Redriven later, that one would replace it."""
    waiting = receive(write(event(0)), write(event(1)))
    content = json.loads(write_file(waiting[:selected]))
    content["events"][0]["event"]["messageId"] = "m-1"

    chosen, problems = TERMS.split(read(json.dumps(content), *waiting), waiting)

    assert [each.waiting.message_id for each in chosen] == ["m-1"][: selected - 1]
    (problem,) = problems
    assert problem.startswith("m-0: another event in the files or in Quarantine has")


def test_an_event_in_two_files_is_not_sent() -> None:
    """An editor has left a copy, and nobody knows which of them is meant."""
    waiting = receive(write(event(0)), write(event(1)))
    both, copy = write_file(waiting), write_file(waiting[:1])

    chosen, problems = TERMS.split([*read(both, *waiting), *read(copy, *waiting)])

    assert [each.waiting.message_id for each in chosen] == ["m-1"]
    assert problems == ["m-0: it is in two files: remove one of them"] * 2

"""Files with waiting events, which a person can edit, and what was changed in them."""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.attributes import Attributes
from segment_to_hyperline.aws.messages import (
    MAX_EVENT_BYTES,
    ReceivedMessage,
    event_size,
)
from segment_to_hyperline.elements import Element, MalformedBody, TooDeep, decode_text
from segment_to_hyperline.hyperline.billable_event import Key
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.preview.verdict import Verdict, judge
from segment_to_hyperline.quarantine.waiting import Place, Waiting, read_message

# With these and the mapping, Hyperline recognizes an event that it has already.
_IDENTITY = ("messageId", "type", "event", "name")
# The hash, and what it is computed of besides.
_HASHED_ALONE = {"sha256", "events"}


class Edit(NamedTuple):
    """An event of a file, as it was, and as it is to be billed."""

    waiting: Waiting
    """The event as it was."""
    text: str
    """The event that is sent; as Segment wrote it, if it wasn't edited."""
    data: Any
    verdict: Verdict
    """What today's mapping makes of it."""

    @classmethod
    def unchanged(cls, event: Waiting) -> Self:
        """Return *event*, to be sent as it is."""
        return cls(event, event.element.text, event.element.data, event.verdict)

    @property
    def outlook(self) -> str:
        """What would become of it in Replay, by today's mapping."""
        return self.waiting._replace(verdict=self.verdict).outlook

    @property
    def is_changed(self) -> bool:
        """Whether a person has changed the event."""
        return self.text != self.waiting.element.text

    @property
    def keys(self) -> list[Key]:
        """The identities of what the mapping makes of it."""
        return [billable.key for billable in self.verdict.billable]

    @property
    def new_identity(self) -> list[str]:
        """What was changed of that by which Hyperline recognizes the event."""
        if not self.is_changed:
            return []
        before, after = self.waiting.fields, self.data
        changed = [n for n in _IDENTITY if before.get(n) != after.get(n)]
        if not changed and self.waiting.verdict.billable:
            keys = [billable.key for billable in self.waiting.verdict.billable]
            is_same = keys == self.keys
            changed = [] if is_same else ["record.id or event_type of the mapping"]
        return changed

    def find_problem(self, *, allows_new_identity: bool) -> str:
        """Return why it isn't redriven, or nothing."""
        if not self.verdict.billable:
            return f"would not be billed: {self.verdict.reason}"
        if not self.is_changed:
            return ""
        if problem := _find_defect(self.text):
            return problem
        if allows_new_identity or not self.new_identity:
            return ""
        return (
            f"{', '.join(self.new_identity)} changed, so Hyperline can't recognize the"
            " event if it was billed already: undo it, or use --new-identity"
        )

    def diff(self) -> Iterator[str]:
        """Yield what was changed, as the lines of a unified diff."""
        before, after = map(_format, (self.waiting.element.data, self.data))
        yield from difflib.unified_diff(before, after, "before", "after", "", "", 1, "")


def write_file(own: Sequence[Waiting], *, is_purged: bool = False) -> str:
    """Return the content of the file for events of one message."""
    message = own[0].message
    head: dict[str, Any] = {
        "message": message.id,
        "purged": is_purged,
        "code": own[0].code,
        "reason": own[0].reason,
        "attributes": message.event_attributes.by_name(),
    }
    originals = [(event.position, event.element.text) for event in own]
    # With an event that is nested too deeply, the file couldn't be read.
    texts = [
        "null" if isinstance(event.element.data, TooDeep) else event.element.text
        for event in own
    ]
    head["sha256"] = _hash(head, originals)
    # The text of an event isn't decoded, because a number would be written otherwise.
    events = ",\n".join(
        f'{{"position": {at}, "original": {json.dumps(original)},\n "event": {text}}}'
        for (at, original), text in zip(originals, texts, strict=True)
    )
    return f'{json.dumps(head, indent=1)[:-2]},\n "events": [{events}]}}\n'


def read_file(
    name: str, text: str, waiting: Mapping[Place, Waiting], rules: Rules
) -> list[Edit]:
    """Return the events of a file with this *text*; raises `InputError`.

    *waiting* has the events in Quarantine. Those that were purged aren't among them.
    """
    try:
        content = decode_text(text)
        events = [(e["position"], e["original"], e["event"]) for e in content["events"]]
        is_intact = content["sha256"] == _hash(content, [e[:2] for e in events])
        stored = _read_stored(content, events, rules) if is_intact else {}
    except (ValueError, MalformedBody, RecursionError, KeyError, TypeError) as error:
        raise InputError(f"{name} isn't a file of `quarantine export`") from error
    if not is_intact:
        raise InputError(
            f"{name}: something besides the values of event was changed, and its hash"
            " doesn't match: export it again"
        )
    found = {place: event for place in stored if (event := waiting.get(place))}
    if content["purged"] is True:
        found = stored | found
    if found.keys() != stored.keys():
        raise InputError(
            f"{name}: its message isn't in Quarantine any more, or is hidden while"
            " somebody else reads it: see `quarantine trace`, and export again"
        )
    edited = (event for _, _, event in events)
    return [
        _compare(found[place], data, rules)
        for place, data in zip(stored, edited, strict=True)
    ]


def _hash(head: Mapping[str, Any], originals: Sequence[tuple[int, str]]) -> str:
    """Return a hash of what isn't to be edited."""
    fixed = {key: value for key, value in head.items() if key not in _HASHED_ALONE}
    text = json.dumps([fixed, originals], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read_stored(
    head: Mapping[str, Any], events: Sequence[tuple[int, str, Any]], rules: Rules
) -> dict[Place, Waiting]:
    """Return the events of a file as they were stored."""
    fields = {"code": head["code"], "reason": head["reason"]}
    texts = ",".join(original for _, original, _ in events)
    message = ReceivedMessage(
        id=head["message"],
        receipt_handle="",
        body=f'{json.dumps(fields)[:-1]}, "events": [{texts}]}}',
        sent_at=0,
        receives=0,
        attributes=Attributes.read(lambda name: head["attributes"].get(name, "")),
    )
    stored = read_message(message, rules)
    return {
        (message.id, position): event._replace(position=position)
        for (position, _, _), event in zip(events, stored, strict=True)
    }


def _compare(before: Waiting, data: Any, rules: Rules) -> Edit:
    if _canonize(data) == _canonize(before.element.data):
        return Edit.unchanged(before)
    text = json.dumps(data)
    verdict = judge(rules, CapturedEvent(before.position, Element(data, text)))
    return Edit(before, text, data, verdict)


def _find_defect(text: str) -> str:
    """Return why an edited event can't be stored in a queue, or nothing.

    The Replayer couldn't read its message, or couldn't return it to Quarantine.
    """
    if event_size(text) > MAX_EVENT_BYTES:
        return f"it is larger than {MAX_EVENT_BYTES:,} bytes"
    try:
        decode_text(text)
    except MalformedBody:  # such as 1e400, which Python decodes as infinite
        return "a number in it is too large to be edited: make it a string, or smaller"
    return ""


def _canonize(data: Any) -> str:
    return json.dumps(data, sort_keys=True)


def _format(data: Any) -> list[str]:
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False).splitlines()

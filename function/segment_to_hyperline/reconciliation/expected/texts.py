"""Read some events of the input again, as Segment sent them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.sources import Source, read_sources
from segment_to_hyperline.reconciliation.expected.versions import (
    identify,
    join_sequence,
    read_fields,
    split_sequence,
)


def read_texts(
    sources: Sequence[Source], sequences: Mapping[str, int]
) -> dict[str, str]:
    """Return the JSON of events by their messageId.

    *sequences* has their positions in the input. Raises `InputError`.
    """
    wanted: dict[int, dict[int, str]] = defaultdict(dict)
    for message_id, sequence in sequences.items():
        position, number = split_sequence(sequence)
        wanted[position][number] = message_id
    texts: dict[str, str] = {}
    for position, names in sorted(wanted.items()):
        source = sources[position]
        for _, captured, number in read_sources([source]):
            wanted_id = names.get(number)
            if wanted_id is None or not isinstance(captured, CapturedEvent):
                continue
            sequence = join_sequence(position, number)
            if identify(read_fields(captured.event.data), sequence) == wanted_id:
                texts[wanted_id] = captured.event.text
    if len(texts) < len(sequences):
        raise InputError("the input was changed while it was read: run it again")
    return texts

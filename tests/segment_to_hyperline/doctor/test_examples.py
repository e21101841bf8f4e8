"""The events of a file, which `doctor --send` chooses one of."""

from pathlib import Path

import pytest

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.doctor.installation import read_example_events

EVENT = '{"type": "track"}'


def test_a_file_without_a_readable_event(tmp_path: Path) -> None:
    """The reason is that of the first line that can't be read."""
    path = tmp_path / "event.json"
    path.write_text('{"type",}\n{,}\n')

    with pytest.raises(InputError, match=r"event\.json:1: not JSON"):
        list(read_example_events([str(path)]))


@pytest.mark.parametrize("text", [EVENT, f"{EVENT}\n{{,}}", f"{{,}}\n3\n{EVENT}"])
def test_readable_events_are_used(tmp_path: Path, text: str) -> None:
    """Also if another line is unreadable, or is no object."""
    path = tmp_path / "events.ndjson"
    path.write_text(f"{text}\n")

    assert list(read_example_events([str(path)])) == [{"type": "track"}]

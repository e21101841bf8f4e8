"""The commands `close` and `verify`: the folder of a month's report."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from local_stack.segment_requests import write
from segment_to_hyperline.closing.folder import EVENTS, MANIFEST, RESPONSES, hash_files
from tests.segment_to_hyperline.closing.world import EVENTS as SENT
from tests.segment_to_hyperline.closing.world import World


@pytest.fixture
def closed(world: World) -> World:
    """A month whose report was made, with a missing event."""
    world.issue()
    world.delete(0)
    assert world.close().exit_code == 1
    return world


def list_files(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_close_makes_a_folder(world: World) -> None:
    """Its manifest has the hashes of everything."""
    world.issue()
    done = world.close()

    assert done.exit_code == 0
    first, second, third = done.stdout.splitlines()
    assert first == "January 2026: 180 events sent, all stored, counted and invoiced."
    assert second.startswith("The month is closed")
    assert third == f"Report: {world.report / 'report.html'}"
    manifest = json.loads((world.report / MANIFEST).read_text())
    assert manifest["files"] == hash_files(world.report)
    assert {EVENTS, RESPONSES, "report.html"} < manifest["files"].keys()
    assert manifest["input"]["events"] == 180
    (source,) = manifest["inputs"]
    assert source["file"].endswith("events.ndjson")
    assert (world.report.stat().st_mode & 0o777) == 0o700
    assert list(world.folder.glob(".report*")) == []


def test_differences_fail_the_check(closed: World) -> None:
    """The report is there."""
    assert (closed.report / "report.html").exists()
    done = closed.run("verify", str(closed.report))
    assert done.exit_code == 0


def test_everything_that_was_read_is_recorded(closed: World) -> None:
    """With what was asked for."""
    lines = gzip.decompress((closed.report / RESPONSES).read_bytes()).splitlines()
    paths = {json.loads(line)["path"] for line in lines}

    assert {
        *("/v1/events", "/v2/customers", "/v1/invoicing-entities", "/v1/aggregators"),
        *("/v1/products", "/v2/subscriptions", "/v2/invoices"),
        "/v1/invoices/inv_acme/events",
    } <= paths


def test_a_report_can_be_made_again_without_a_network(closed: World) -> None:
    """Byte for byte."""
    closed.hyperline.close()
    closed.core.close()
    again = closed.folder / "again"

    done = closed.run("verify", str(closed.report), "--output", str(again))

    assert (done.exit_code, done.stdout) == (
        0,
        "The report follows from what was read, and no file was changed.\n",
    )
    assert list_files(again) == list_files(closed.report)


@pytest.mark.parametrize("change", ["changed", "removed", "added"])
def test_a_changed_report_is_noticed(closed: World, change: str) -> None:
    """Whatever the change is."""
    page = closed.report / "report.html"
    match change:
        case "changed":
            page.write_text(page.read_text().replace("180", "181"))
            problem = "report.html: was changed or added"
        case "removed":
            page.unlink()
            problem = "report.html: is missing"
        case _:
            (closed.report / "notes.txt").write_text("looks good")
            problem = "notes.txt: was changed or added"

    done = closed.run("verify", str(closed.report))

    assert (done.exit_code, done.stdout) == (1, f"{problem}\n")
    assert done.stderr == "Failed: the report is not as it was made.\n"


@pytest.mark.parametrize("name", [EVENTS, RESPONSES])
def test_a_report_that_does_not_follow_from_what_was_read_is_noticed(
    closed: World, name: str
) -> None:
    """Also if the manifest was changed together with what was read."""
    path = closed.report / name
    text = gzip.decompress(path.read_bytes()).replace(b"m-30", b"m-xx")
    path.write_bytes(gzip.compress(text))
    done = closed.run("verify", str(closed.report))
    assert done.exit_code == 2
    assert "was changed or added: the report can't be made again" in done.stderr

    manifest = json.loads((closed.report / MANIFEST).read_text())
    manifest["files"] = hash_files(closed.report)
    (closed.report / MANIFEST).write_text(json.dumps(manifest))
    done = closed.run("verify", str(closed.report))

    assert done.exit_code in {1, 2}


@pytest.mark.parametrize("content", ["{}", "[]", "?", '{"files": {}, "request": 1}'])
def test_a_damaged_manifest_is_reported(closed: World, content: str) -> None:
    """In one line."""
    (closed.report / MANIFEST).write_text(content)

    done = closed.run("verify", str(closed.report))

    assert done.exit_code == 2
    assert "manifest.json' was changed" in done.stderr


def change_manifest(world: World, changes: dict[str, Any]) -> None:
    """Change fields of the manifest; a name with a dot is in an object."""
    content = json.loads((world.report / MANIFEST).read_text())
    for name, value in changes.items():
        *path, last = name.split(".")
        target = content[path[0]] if path else content
        target[last] = value
    (world.report / MANIFEST).write_text(json.dumps(content, indent=2) + "\n")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"version": "99"}, 1),
        ({"note": "paid in full"}, 1),
        ({"request.max": 9_999}, 1),
        ({"request.time_zone": "Europe/Madrid"}, 1),
        ({"request.event_types": ["Seats Added"]}, 1),
        ({"request.note": 1}, 1),
        ({"environment": "production"}, 1),
        ({"read_at": "2026-02-05T00:00:00Z"}, 1),
        ({"read_at": "never"}, 1),
        ({"host": "https://other.example"}, 1),
        ({"from": None}, 1),
        ({"customers": "guessed"}, 1),
        ({"core_api": "https://other.example"}, 1),
        ({"files": []}, 2),
        ({"core_api": None}, 2),
        ({"inputs": []}, 2),
        ({"inputs": [{"file": "events.ndjson", "sha256": "0" * 64}]}, 2),
        ({"inputs": [{"file": 1, "sha256": 2}]}, 2),
        ({"inputs": "x"}, 2),
        ({"input.files": 2}, 2),
        ({"input.sha256": 5}, 2),
        ({"request.max": "x"}, 2),
        ({"request.month": "zz"}, 2),
        ({"request.month": 5}, 2),
        ({"request.grace_days": "x", "request.time_zone": "UTC"}, 2),
        ({"request.event_types": [5]}, 2),
        ({"host": 5}, 2),
        ({"mappings": [5]}, 2),
    ],
)
def test_a_changed_manifest_is_noticed(
    closed: World, changes: dict[str, Any], status: int
) -> None:
    """The report has the hash of what it was made of."""
    change_manifest(closed, changes)

    done = closed.run("verify", str(closed.report))

    assert done.exit_code == status
    assert "no file was changed" not in done.stdout


def test_the_names_of_the_input_cannot_be_changed(closed: World) -> None:
    """Though their hashes are right."""
    content = json.loads((closed.report / MANIFEST).read_text())
    change_manifest(closed, {"inputs": [content["inputs"][0] | {"file": "other"}]})

    done = closed.run("verify", str(closed.report))

    assert (done.exit_code, done.stdout) == (
        1,
        "report.html: would be another one now\n",
    )


def test_another_format_of_the_manifest_is_noticed(closed: World) -> None:
    """All files are compared byte for byte."""
    path = closed.report / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text())))

    done = closed.run("verify", str(closed.report))

    assert (done.exit_code, done.stdout) == (1, "manifest.json: was changed or added\n")


@pytest.mark.parametrize(
    "kind", ["file", "folder", "dangling", "loop", "empty", "data"]
)
def test_links_and_other_folders_are_noticed(closed: World, kind: str) -> None:
    """They aren't what the report was made of."""
    elsewhere = closed.folder / "elsewhere"
    added = closed.report / "added"
    match kind:
        case "file":
            (closed.report / "report.html").rename(elsewhere)
            added = closed.report / "report.html"
            added.symlink_to(elsewhere)
        case "folder":
            elsewhere.mkdir()
            added.symlink_to(elsewhere)
        case "dangling":
            added.symlink_to("nowhere")
        case "loop":
            added.symlink_to("added")
        case "empty":
            added.mkdir()
        case _:
            (closed.report / "data").rename(elsewhere)
            added = closed.report / "data"
            added.symlink_to(elsewhere)

    done = closed.run("verify", str(closed.report))

    assert done.exit_code in {1, 2}
    problem = done.stderr if kind == "data" else done.stdout
    assert f"{added.name}" in problem


def rewrite(world: World, name: str, lines: list[str]) -> None:
    """Write other lines into a file of a report, and renew the hashes."""
    content = "".join(f"{line}\n" for line in lines)
    (world.report / name).write_bytes(gzip.compress(content.encode()))
    change_manifest(world, {"files": hash_files(world.report)})


def read(world: World, name: str) -> list[str]:
    """Return the lines of a file of a report."""
    return gzip.decompress((world.report / name).read_bytes()).decode().splitlines()


def test_a_response_that_nothing_asks_for_is_noticed(closed: World) -> None:
    """It isn't what the report was made of."""
    added = json.dumps({"path": "/x", "query": {}, "content": 1})
    rewrite(closed, RESPONSES, [*read(closed, RESPONSES), added])

    done = closed.run("verify", str(closed.report))

    assert done.exit_code == 2
    assert "has responses that nothing asks for" in done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"content": None},
        {"content": []},
        {"error": "AccessError"},
        {"error": 5, "message": "x"},
        {"error": "AccessError", "message": "x"},
    ],
)
def test_any_damage_of_a_response_is_reported(
    closed: World, change: dict[str, Any]
) -> None:
    """In one line, and never as a bug."""
    lines = [json.loads(line) for line in read(closed, RESPONSES)]
    rewrite(closed, RESPONSES, [json.dumps(line | change) for line in lines])

    done = closed.run("verify", str(closed.report))

    assert done.exit_code == 2
    assert done.stderr.count("Error: ") == 1


@pytest.mark.parametrize("field", [-1, 3, 5, 6, 7])
@pytest.mark.parametrize("value", ["?", None, 5, "{}", '{"record": 5}'])
def test_any_damage_of_an_event_is_reported(
    closed: World, field: int, value: Any
) -> None:
    """In one line, or the report is another one."""
    lines = [json.loads(line) for line in read(closed, EVENTS)]
    for line in lines:
        if line[0] == "expected":
            line[field] = value
    rewrite(closed, EVENTS, list(map(json.dumps, lines)))

    assert closed.run("verify", str(closed.report)).exit_code in {1, 2}


@pytest.mark.parametrize("name", [EVENTS, RESPONSES])
def test_deeply_nested_lines_are_reported(closed: World, name: str) -> None:
    """They could end the command."""
    rewrite(closed, name, ["[" * 200_000])

    assert closed.run("verify", str(closed.report)).exit_code == 2


def test_a_manifest_can_be_deeply_nested(closed: World) -> None:
    """Then it was changed."""
    (closed.report / MANIFEST).write_text("[" * 200_000)

    assert "was changed" in closed.run("verify", str(closed.report)).stderr


def test_the_new_report_is_not_in_the_old_one(closed: World) -> None:
    """The old one would be changed."""
    output = str(closed.report / "new")

    done = closed.run("verify", str(closed.report), "--output", output)

    assert done.exit_code == 2
    assert "is in the folder of the report" in done.stderr
    assert closed.run("verify", str(closed.report)).exit_code == 0


def test_a_folder_without_a_report_is_reported(world: World) -> None:
    """It was never one."""
    done = world.run("verify", str(world.folder))

    assert done.exit_code == 2
    assert "isn't the folder of a report: No such file" in done.stderr


@pytest.mark.parametrize("lines", [b"?", b'{"path": "/"}\n', b"[]\n", b""])
def test_a_damaged_recording_is_reported(closed: World, lines: bytes) -> None:
    """The report can't be made again."""
    path = closed.report / RESPONSES
    path.write_bytes(gzip.compress(lines) if lines != b"?" else lines)
    manifest = json.loads((closed.report / MANIFEST).read_text())
    manifest["files"] = hash_files(closed.report)
    (closed.report / MANIFEST).write_text(json.dumps(manifest))

    done = closed.run("verify", str(closed.report))

    assert done.exit_code == 2
    assert "can't be" in done.stderr


def test_other_contents_in_a_recording_are_reported(closed: World) -> None:
    """They aren't what Hyperline returned."""
    path = closed.report / RESPONSES
    lines = gzip.decompress(path.read_bytes()).splitlines()
    changed = [json.dumps(json.loads(line) | {"content": 1}) for line in lines]
    path.write_bytes(gzip.compress("\n".join(changed).encode()))
    manifest = json.loads((closed.report / MANIFEST).read_text())
    manifest["files"] = hash_files(closed.report)
    (closed.report / MANIFEST).write_text(json.dumps(manifest))

    done = closed.run("verify", str(closed.report))

    assert done.exit_code == 2
    assert "what was read is not complete" in done.stderr


@pytest.mark.parametrize("line", ["?", "[1]", '["event"]', '["none", 1]', "1"])
def test_damaged_events_are_reported(closed: World, line: str) -> None:
    """The report can't be made again."""
    path = closed.report / EVENTS
    path.write_bytes(gzip.compress(f"{line}\n".encode()))
    manifest = json.loads((closed.report / MANIFEST).read_text())
    manifest["files"] = hash_files(closed.report)
    (closed.report / MANIFEST).write_text(json.dumps(manifest))

    done = closed.run("verify", str(closed.report))

    assert done.exit_code == 2
    assert "the events are not as they were written" in done.stderr


def test_a_report_with_less_access_can_be_made_again(world: World) -> None:
    """What was forbidden remains unchecked."""
    world.core.forbidden |= {"/v2/invoices", "/v1/aggregators", "/v2/customers"}
    assert world.close().exit_code == 3

    world.core.forbidden.clear()
    assert world.run("verify", str(world.report)).exit_code == 0


def test_a_report_without_the_core_api_can_be_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is stored is compared, and the time zone is given."""
    monkeypatch.setattr(world.core, "url", "")
    done = world.close()
    assert done.exit_code == 2
    assert "HYPERLINE_CORE_URL is not set): give the time zone" in done.stderr
    assert not world.report.exists()

    done = world.close("--time-zone", "Europe/Paris")

    assert done.exit_code == 3
    assert done.stdout.startswith(
        "January 2026: 180 events sent. Not checked completely: stored, counted and"
        " invoiced.\n"
    )
    assert world.run("verify", str(world.report)).exit_code == 0


def test_repeated_events_and_other_mappings_can_be_restored(
    world: World, tmp_path: Path
) -> None:
    """The events that were sent are recorded as they were compared."""
    other = tmp_path / "other.toml"
    other.write_text(
        '[[rules]]\ntype = "track"\nevent = "Seats Added"\ncustomer_id = "userId"\n'
        'event_type = "\'Places\'"\ntimestamp = "timestamp"\n'
        'record = { seats = "properties.seats" }\n'
    )
    later = SENT[0] | {"receivedAt": "2026-01-01T13:00:00Z", "userId": None}
    world.events += [later, SENT[1] | {"type": "page"}]

    done = world.close("--mapping-since", "2026-01-20", str(other))

    assert done.exit_code == 1
    assert world.run("verify", str(world.report)).exit_code == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--time-zone", "Mars"), "the time zone 'Mars' is unknown"),
        (("--max", "1"), "more than 1 differences: check --mapping, MONTH and which"),
        (("--mapping-since", "2026-01-15", "none"), "none is neither a file nor"),
    ],
)
def test_bad_input_makes_no_report(
    world: World, options: tuple[str, ...], problem: str
) -> None:
    """Nor a part of one."""
    for number in range(5):
        world.delete(number)

    done = world.close(*options)

    assert done.exit_code in {1, 2}
    assert problem in done.stderr
    assert list(world.folder.iterdir()) == [world.folder / "events.ndjson"]


def test_a_month_must_be_one(world: World) -> None:
    """The message has an example."""
    done = world.close(month="January")

    assert done.exit_code == 2
    assert "January is not a month such as 2026-01" in done.stderr


def test_a_month_without_events_makes_no_report(world: World) -> None:
    """The message says when the events are."""
    done = world.close(month="2025-06")

    assert done.exit_code == 2
    assert "no billable event is in 2025-06: the events are from 2026" in done.stderr
    assert "check MONTH and EVENTS" in done.stderr
    assert not world.report.exists()


def test_a_report_is_never_overwritten(closed: World) -> None:
    """Finance may have it."""
    before = list_files(closed.report)

    done = closed.close()

    assert done.exit_code == 2
    assert "exists: choose another folder, or remove it" in done.stderr
    assert list_files(closed.report) == before


@pytest.mark.parametrize("name", ["link", "n" * 256])
def test_a_folder_that_cannot_be_written_is_reported_first(
    world: World, name: str
) -> None:
    """Before anything is read."""
    output = world.folder / name
    if name == "link":
        output.symlink_to("nowhere")
    events = world.folder / "events.ndjson"
    events.write_text(json.dumps(SENT[0]))

    done = world.run("close", "2026-01", str(events), "--output", str(output))

    assert done.exit_code == 2
    assert "exists" in done.stderr or "can't be created: File name" in done.stderr
    assert world.hyperline.reads == []


def test_a_long_name_can_be_that_of_a_folder(world: World) -> None:
    """As long as the file system allows."""
    world.issue()
    output = world.folder / ("é" * 127)
    events = world.folder / "events.ndjson"
    events.write_text("".join(write(each) + "\n" for each in world.events))

    done = world.run("close", "2026-01", str(events), "--output", str(output))

    assert done.exit_code == 0
    assert (output / "report.html").exists()


def test_a_folder_that_appears_meanwhile_is_not_replaced(world: World) -> None:
    """An empty one could be replaced by renaming."""
    world.hyperline.rows.before_read = lambda: world.report.mkdir(exist_ok=True)

    done = world.close()

    assert done.exit_code == 2
    assert "exists: choose another folder" in done.stderr
    assert list(world.report.iterdir()) == []


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """A mapping that bills one seat for each event."""
    path = tmp_path / "later.toml"
    path.write_text(
        '[[rules]]\ntype = "track"\ncustomer_id = "userId"\nevent_type = "event"\n'
        'timestamp = "timestamp"\nrecord = { seats = "`1`", plan = "\'pro\'" }\n'
    )
    return path


def test_what_a_later_mapping_bills_meanwhile_must_be_invoiced_too(
    world: World, later: Path
) -> None:
    """It was delivered after the differences were looked up again."""
    world.delete(6)
    world.issue()
    looks = 0

    def deliver() -> None:
        nonlocal looks
        looks += "record_id__in" in world.hyperline.reads[-1]
        if looks == 2:
            world.bill(SENT[6] | {"properties": {"seats": 1, "plan": "pro"}})

    world.hyperline.rows.before_read = deliver

    done = world.close("--mapping-since", "2026-02-10", str(later))

    assert done.stdout.startswith("January 2026: 180 events sent, 1 on no invoice.\n")
    assert "total,,,180,180,0,0,0" in (world.report / "customers.csv").read_text()


def test_a_later_mapping_cannot_have_billed_what_was_invoiced_before(
    world: World, later: Path
) -> None:
    """A wrong value isn't right because a mapping gives it now."""
    for number in range(0, 180, 6):
        world.alter(number, record={"id": f"m-{number}", "seats": 1, "plan": "pro"})
    world.issue()

    done = world.close("--mapping-since", "2026-02-10", str(later))

    assert done.exit_code == 1
    table = (world.report / "wrongly-invoiced.csv").read_text()
    assert "the mapping that bills this was deployed after the invoice" in table
    assert world.run("verify", str(world.report)).exit_code == 0
    shutil.rmtree(world.report)

    done = world.close("--mapping-since", "2026-02-02", str(later))

    assert done.exit_code == 0


def test_a_folder_that_cannot_be_created_is_reported(world: World) -> None:
    """For example because its parent doesn't exist."""
    path = world.folder / "none" / "report"
    events = world.folder / "events.ndjson"
    events.write_text(json.dumps(SENT[0]))

    done = world.run("close", "2026-01", str(events), "--output", str(path))

    assert done.exit_code == 2
    assert "can't be created: No such file or directory" in done.stderr


def test_a_damaged_part_makes_no_report(world: World) -> None:
    """An event could be missing in it."""
    path = world.folder / "events.ndjson"
    path.write_text(json.dumps(SENT[0]) + "\n{]\n")

    done = world.run("close", "2026-01", str(path), "--output", str(world.report))

    assert done.exit_code == 1
    assert "1 part of the input can't be read" in done.stderr
    assert not world.report.exists()


def test_a_wrong_key_makes_no_report(world: World) -> None:
    """It is reported before the events are read."""
    world.hyperline.key = "test_another_key"

    done = world.close()

    assert done.exit_code == 2
    assert "rejected the API key (401)" in done.stderr
    assert not world.report.exists()


def test_a_report_with_fewer_differences_than_were_read_is_noticed(
    closed: World,
) -> None:
    """The limit in the manifest was changed."""
    manifest = json.loads((closed.report / MANIFEST).read_text())
    manifest["request"]["max"] = 0
    (closed.report / MANIFEST).write_text(json.dumps(manifest))

    done = closed.run("verify", str(closed.report))

    assert done.exit_code == 2
    assert "has more differences than its report" in done.stderr

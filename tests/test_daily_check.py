"""The DailyCheck: what it compares, and what it reports."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import count as count_up
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
import trustme

import daily_check
from local_stack.fake_api import FakeResponse
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.s3_objects import find_client
from segment_to_hyperline.daily_check.day import Day
from segment_to_hyperline.daily_check.deployed_mappings import StoredMapping
from segment_to_hyperline.daily_check.time_needed import TooManyEvents
from segment_to_hyperline.errors import Error
from segment_to_hyperline.mapping.file import parse_rules
from segment_to_hyperline.reconciliation.api.failures import HyperlineUnavailable
from tests.checked_days import HOUR, MAPPING, YESTERDAY, Place, create_events
from tests.clock import NOW
from tests.conftest import Log, Queue, Secret
from tests.fake_aws import FakeAws
from tests.fake_aws import Fault as QueueFault
from tests.samples import track
from tests.segment_to_hyperline.archive.fake_s3 import FakeS3, Fault
from tests.segment_to_hyperline.reconciliation.helpers import Clock
from tests.segment_to_hyperline.reconciliation.network import Proxy, TlsServer

_S3 = FakeS3()
DENIED = Fault("403 Forbidden", "AccessDenied")
OLD_MAPPING = b"""
[[rules]]
type = "track"
record = { old = "properties.seats" }
"""
ITEMS = b"""
[[rules]]
each = "properties.items"
record = {}
"""
TIME = "2026-11-30T05:00:00.000Z"
MANY = range(5_000 - 24)
DEPLOYED = StoredMapping.create(MAPPING.read_bytes(), NOW.timestamp() - 1e7)
KEY = "mappings/20261201T120000Z-533a58fbc2fc.toml"
OLD_RULES = parse_rules(OLD_MAPPING, "old.toml")


@pytest.fixture
def new(
    aws: FakeAws, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A stack of this test only, which is deployed for the first time at `NOW`."""
    assert aws
    Clock(monkeypatch).now = NOW.timestamp()
    queue, topic, secret = Queue(), boto3.client("sns"), Secret()
    sqs = boto3.client("sqs")
    attributes = sqs.get_queue_attributes(
        QueueUrl=queue.url, AttributeNames=["QueueArn"]
    )
    arn = topic.create_topic(Name=secret.name)["TopicArn"]
    endpoint = attributes["Attributes"]["QueueArn"]
    topic.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)
    with FakeCoreApi(rate_limit=1_000_000) as core:
        place = Place(
            _S3, _S3.create_bucket(), _S3.create_bucket(), hyperline, core, queue.url
        )
        variables = {
            "AWS_ENDPOINT_URL": _S3.url,
            "STACK_NAME": "stack",
            "SECRET_ID": secret.name,
            "HYPERLINE_CORE_URL": core.url,
            "ARCHIVE_BUCKET": place.archive,
            "ARCHIVE_PREFIX": "",
            "REPORTS_BUCKET": place.reports,
            "REPORT_TOPIC_ARN": arn,
            "BACKFILL_MISSING": "false",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        find_client.cache_clear()
        _S3.requests.clear()
        yield place
    _S3.faults.clear()
    find_client.cache_clear()


@pytest.fixture
def place(new: Place) -> Place:
    """A stack without events and reports, whose mapping was deployed long ago."""
    new.s3.put(new.reports, DEPLOYED.key, body=MAPPING.read_bytes())
    return new


@pytest.fixture
def second(place: Place) -> Place:
    """A stack that has a report already."""
    place.s3.put(place.reports, "daily/2026-11-01/after-1-day.txt")
    return place


def count(log: Log) -> dict[str, Any]:
    """Return the metrics of the line that was written."""
    (line,) = log()
    assert line["service"] == "daily-check"
    names = (
        *("Expected", "Missing", "Different", "Unexpected", "Unproven"),
        "Quarantined",
    )
    return {name: line[name][0] for name in names} | {"level": line["level"]}


def test_a_right_day(second: Place, log: Log) -> None:
    """The sentence says that all is billed, and the report what was compared."""
    events = create_events(3)
    second.receive(*events)
    second.bill(*events)

    assert second.check() == "30 November: 3 events, all billed."

    assert count(log) == {
        "Expected": 3,
        "Missing": 0,
        "Different": 0,
        "Unexpected": 0,
        "Unproven": 0,
        "Quarantined": 0,
        "level": "INFO",
    }
    report = second.report()
    assert (report["day"], report["after_days"], report["first"]) == (
        "2026-11-30",
        1,
        False,
    )
    assert report["summary"] == "30 November: 3 events, all billed."
    assert report["put_into_replay"] is None
    assert report["matches"] is True
    assert report["customers"] == "looked up in Hyperline"
    assert report["from"] == "2026-11-30T00:00:00.000Z"
    assert report["to"] == "2026-12-01T00:00:00.000Z"
    text = second.text()
    assert text.startswith("30 November: 3 events, all billed.\n\nEverything matches: ")
    assert "first report" not in text


def test_each_difference_is_counted(second: Place, log: Log) -> None:
    """Missing, different and unexpected events, and no event of another day."""
    events = create_events(5)
    second.receive(*events)
    second.bill(*events[:-2])
    changed = {**events[0], "properties": {"seats": 9, "plan": "team"}}
    second.bill(changed, track(messageId="stranger", timestamp=events[1]["timestamp"]))
    second.bill(*create_events(2, Day.create(NOW.timestamp(), 2)))

    assert second.check() == (
        "30 November: 5 events, of which 2 are missing and 1 is different in Hyperline,"
        " which also has 1 unexpected. Report:"
        f" s3://{second.reports}/daily/2026-11-30/after-1-day.txt"
    )

    assert count(log) == {
        "Expected": 5,
        "Missing": 2,
        "Different": 1,
        "Unexpected": 1,
        "Unproven": 0,
        "Quarantined": 0,
        "level": "WARN",
    }
    kinds = [finding["kind"] for finding in second.report()["findings"]]
    assert sorted(kinds) == ["different", "missing", "missing", "unexpected"]


def test_the_sentence_and_the_log_name_nobody(
    second: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ids of customers and events are in the report only."""
    events = create_events(2)
    second.receive(*events)

    sentence = second.check()

    text = sentence + capsys.readouterr().out
    report = json.dumps(second.report())
    assert "2 are missing" in sentence
    for event in events:
        for private in (event["userId"], event["messageId"], "Seats Added"):
            assert private in report
            assert private not in text


@pytest.mark.parametrize("days_ago", [1, 3])
def test_late_events_are_expected_by_a_later_check(
    second: Place, days_ago: int
) -> None:
    """An event counts for its own day, whenever Segment receives it until now."""
    day = Day.create(NOW.timestamp(), days_ago)
    events = create_events(2, day)
    second.receive(events[0], day=day)
    today = Day.create(NOW.timestamp(), 0)
    second.receive(events[1], day=today)
    second.bill(*events)

    sentence = second.check(days_ago)

    again = "" if days_ago == 1 else ", checked again after 3 days"
    number = 30 if days_ago == 1 else 28
    assert sentence == f"{number} November{again}: 2 events, all billed."
    suffix = "1-day" if days_ago == 1 else "3-days"
    assert f"daily/{day.date}/after-{suffix}.txt" in second.list_keys()


def test_one_event_is_not_all(second: Place) -> None:
    """The sentence is one that a person would write."""
    (event,) = create_events(1)
    second.receive(event)
    second.bill(event)

    assert second.check() == "30 November: 1 event, billed."


def test_a_day_without_events(second: Place, log: Log) -> None:
    """It is no error; the archive has other days."""
    other = Day.create(NOW.timestamp(), 9)
    second.receive(*create_events(1, other), day=other)

    sentence = second.check()

    assert sentence.startswith("30 November: no events. 's3://")
    assert sentence.endswith(
        "' has no events received from 2026-11-29 until 2026-12-01:"
        " its days are 2026-11-22 to 2026-11-22."
    )
    assert count(log)["Expected"] == 0
    assert "Everything matches: 0 events expected." in second.text()


def test_an_archive_that_stopped_is_not_silent(second: Place, log: Log) -> None:
    """Events of the types of its last day are billed, and the archive has none."""
    for days_ago in (20, 9):
        day = Day.create(NOW.timestamp(), days_ago)
        event = "Seats Added" if days_ago == 9 else "Old"
        second.receive(*create_events(1, day, event=event), day=day)
    second.bill(*create_events(2), *create_events(1, event="Old"))

    sentence = second.check()

    assert sentence.startswith(
        "30 November: no events, and 2 unexpected in Hyperline. 's3://"
    )
    assert "its days are 2026-11-11 to 2026-11-22. Report: " in sentence
    found = count(log)
    assert (found["Unexpected"], found["level"]) == (2, "WARN")


def test_only_other_days_have_events(second: Place) -> None:
    """Then the types of these are compared, and Hyperline can have some."""
    second.receive(*create_events(2, Day.create(NOW.timestamp(), 0)))
    second.bill(*create_events(1))

    assert second.check().startswith(
        "30 November: no events, and 1 unexpected in Hyperline. Report: "
    )


@pytest.mark.parametrize(
    ("good", "sentence"),
    [
        (2, "2 events. The mapping can't bill 3 events. Report: s3://"),
        (0, "no billable events. The mapping can't bill 3 events. Report: s3://"),
    ],
)
def test_events_that_the_mapping_cannot_bill_are_not_silent(
    second: Place, log: Log, good: int, sentence: str
) -> None:
    """Whether Quarantine still has them isn't known, so the alarm is raised."""
    events = create_events(good)
    second.receive(*events)
    second.bill(*events)
    unbillable = [
        {**event, "messageId": f"q-{number}"}
        for number, event in enumerate(create_events(3, userId=None))
    ]
    second.receive(*unbillable, name="2")

    assert second.check().startswith(f"30 November: {sentence}")

    found = count(log)
    assert (found["Expected"], found["Quarantined"]) == (good, 3)
    assert found["level"] == "WARN"
    assert "3  quarantined  rule 1 (track): customer_id" in second.text()


def test_events_that_are_not_meant_to_be_billed_are_right(second: Place) -> None:
    """No rule matches them, or the destination doesn't get them."""
    events = create_events(2)
    second.bill(events[0])
    second.receive(
        events[0],
        {**events[1], "messageId": "none", "type": "page", "name": "Home"},
        {**events[1], "integrations": {"Webhooks (Actions)": False}},
    )

    assert second.check() == "30 November: 1 event, billed."


def test_an_unreadable_part_is_not_silent(second: Place, log: Log) -> None:
    """It can have any event, so the day isn't proven, and the alarm is raised."""
    events = create_events(2)
    second.receive(*events)
    second.put(b'{"type": "track", \n', name="2")
    second.bill(*events)

    sentence = second.check()

    assert sentence.startswith(
        "30 November: 2 events. The day is not proven: 1 part of the archive can't be"
        " read. Report: "
    )
    found = count(log)
    assert (found["Unproven"], found["level"]) == (1, "WARN")
    assert "2.gz:1: not JSON" in second.text()


def test_nothing_but_an_unreadable_part(second: Place) -> None:
    """A day that nobody can read isn't a day without events."""
    second.put(b"{")

    assert second.check().startswith(
        "30 November: no events. The day is not proven: 1 part of the archive can't"
    )


def test_an_event_that_cannot_be_looked_up_is_not_silent(
    second: Place, log: Log
) -> None:
    """Hyperline can't find an id with a comma, and it may be at another time."""
    second.receive(*create_events(2, event="A"), name="1")
    (comma,) = create_events(1, event="A")
    comma["messageId"] = "a,b"
    second.receive(comma, name="2")
    second.bill(*create_events(2, event="A"))

    assert second.check().startswith(
        "30 November: 3 events. The day is not proven: 1 event can't be looked up."
    )
    assert count(log)["Unproven"] == 1


def test_too_many_differences_are_not_silent(second: Place, log: Log) -> None:
    """They are not listed, and nothing is said about their kinds."""
    times = {"timestamp": "2026-11-30T01:00:00.000Z"}
    second.bill(*(track(messageId=str(n), **times) for n in range(10_050)))
    second.receive(*create_events(1))

    assert second.check().startswith(
        "30 November: 1 event, with too many differences from Hyperline to list. Report"
    )
    assert count(log)["Unproven"] == 1


def test_customers_that_cannot_be_read_are_not_silent(second: Place) -> None:
    """Otherwise nobody would know that a customer was never compared."""
    events = create_events(2)
    second.receive(*events)
    second.bill(*events)
    second.core.forbidden.add("/v2/customers")

    assert second.check() == (
        "30 November: 2 events, all billed. Whether they are under the right customers"
        " is not proven: the API key may not read customers, or Hyperline's host is not"
        " its own."
    )


def test_hyperlines_own_hosts_are_those_of_the_key(
    second: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As deployed: no variable has a host, and the customers are looked up."""
    second.receive(*(events := create_events(2)))
    second.bill(*events)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    for name in ("HYPERLINE_URL", "HYPERLINE_CORE_URL"):
        monkeypatch.setenv(name, "")
    events_host, core_host = "sandbox.ingest.hyperline.co", "sandbox.api.hyperline.co"
    certificate = authority.issue_cert(events_host, core_host)

    with (
        TlsServer(second.hyperline, certificate) as ingestion,
        TlsServer(second.core, certificate) as core,
        Proxy(ports={events_host: ingestion.port, core_host: core.port}) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert second.check() == "30 November: 2 events, all billed."

    assert second.report()["customers"] == "looked up in Hyperline"


def test_the_first_report_says_what_to_check(place: Place) -> None:
    """Segment may send a part of the archive only; the second report doesn't say so."""
    events = create_events(2)
    place.receive(*events)
    place.bill(events[0])

    first = place.check()
    assert "the trigger of the destination's mapping" in place.text()
    assert place.report()["first"] is True
    second = place.check()

    assert "missing in Hyperline. This is the first report, and it says what" in first
    assert "first report" not in second
    assert "trigger" not in place.text()


@pytest.mark.parametrize("bucket", ["archive", "reports"])
def test_a_bucket_that_cannot_be_listed(place: Place, bucket: str, log: Log) -> None:
    """The function fails, and the sentence says which permission is missing."""
    place.receive(*create_events(1))
    # The reports are listed first, and then the mappings, twice.
    place.s3.fail("ListObjectsV2", *[None] * (3 if bucket == "archive" else 0), DENIED)

    with pytest.raises(InputError, match="lack the permission s3:ListBucket"):
        place.check()

    (sentence,) = place.sentences()
    name = getattr(place, bucket)
    assert sentence == (
        f"30 November could not be checked: 's3://{name}/': the AWS credentials lack"
        f" the permission s3:ListBucket for the bucket {name}"
    )
    (line,) = log()
    assert (line["level"], line["error"]) == ("ERROR", "InputError")
    assert "Missing" not in line


def test_an_archive_without_objects_is_an_error(place: Place) -> None:
    """It has a wrong name, which would make every day one without events."""
    with pytest.raises(InputError, match="has no objects: check the bucket"):
        place.check()

    assert "could not be checked" in place.sentences()[0]
    assert place.list_keys("daily/") == []


@pytest.mark.parametrize(
    "prefix", ["eu", "eu/", "eu/segment-logs", "eu/segment-logs/source/"]
)
def test_a_prefix_is_read_as_the_command_does(
    second: Place, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without the slash, and with the folder of the sources."""
    monkeypatch.setenv("ARCHIVE_PREFIX", prefix)
    (event,) = create_events(1)
    second.receive(track(messageId="elsewhere"))
    key = f"eu/segment-logs/source/{YESTERDAY.start}/1.gz"
    second.s3.put(second.archive, key, body=json.dumps(event).encode())
    second.bill(event)

    assert second.check() == "30 November: 1 event, billed."


def test_a_hyperline_that_is_down(place: Place) -> None:
    """Requests are retried for 5 minutes; then the function fails and says so."""
    place.receive(*create_events(1))
    place.hyperline.outage = FakeResponse(503)

    with pytest.raises(HyperlineUnavailable):
        place.check()

    (sentence,) = place.sentences()
    assert "could not be checked: http://" in sentence
    assert "server error (503)" in sentence
    assert place.list_keys("daily/") == []


def test_no_time_is_left_for_a_retry(place: Place) -> None:
    """The function fails before Lambda ends it, so that there is a sentence."""
    place.receive(*create_events(1))
    place.hyperline.outage = FakeResponse(503)

    with pytest.raises(HyperlineUnavailable, match="in Lambda's 15 minutes: server"):
        place.check(seconds=100)

    assert "run this later: segment-to-hyperline reconcile" in place.sentences()[0]


def test_a_retry_that_would_take_too_long_is_not_made(place: Place) -> None:
    """The pause itself would need the time that is left for the sentence."""
    place.receive(*create_events(1))
    limited = FakeResponse(429, headers={"Retry-After": "30"})
    place.hyperline.outage = limited

    with pytest.raises(HyperlineUnavailable, match="in Lambda's 15 minutes: "):
        place.check(seconds=75)

    assert len(place.hyperline.reads) == 1


def test_a_wrong_key_fails_before_the_archive_is_read(place: Place) -> None:
    """It takes a second, and costs nothing."""
    place.receive(*create_events(1))
    place.hyperline.key = "another"

    with pytest.raises(Error, match="rejected the API key"):
        place.check()

    (mapping,) = place.s3.find("GetObject")
    assert place.reports in mapping.target


def test_a_bug_is_reported_without_its_text(place: Place) -> None:
    """The text of an unknown exception can have personal data."""
    place.s3.put(place.reports, "mappings/20261399T000000Z-0123456789ab.toml")

    with pytest.raises(ValueError, match="20261399"):
        place.check()

    (sentence,) = place.sentences()
    assert sentence == (
        "30 November could not be checked: DailyCheck has a bug (ValueError), see"
        " its log"
    )


@pytest.mark.parametrize("days_ago", [1, 3])
def test_without_a_topic_nothing_is_published(
    second: Place, monkeypatch: pytest.MonkeyPatch, days_ago: int
) -> None:
    """The metrics and the alarm are the same."""
    monkeypatch.setenv("REPORT_TOPIC_ARN", "")
    day = Day.create(NOW.timestamp(), days_ago)
    second.receive(*create_events(1, day), day=day)

    daily_check.lambda_handler({"days_ago": days_ago}, Context())

    assert second.sentences() == []
    assert second.report(day)["missing"] == 1


def test_a_topic_that_cannot_be_used_is_an_error(
    second: Place, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    """The report and the metrics are written, and an alarm is raised."""
    monkeypatch.setenv("REPORT_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:none")
    second.receive(*create_events(1))

    with pytest.raises(InputError, match="responded with the error NotFound"):
        second.check()
    assert second.report()["missing"] == 1
    found = count(log)
    assert (found["Missing"], found["level"]) == (1, "WARN")
    second.hyperline.key = "another"
    with pytest.raises(Error, match="rejected the API key"):
        second.check()


def test_a_topic_can_be_in_another_region(
    second: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ARN has the region."""
    topic = boto3.client("sns", "eu-west-1")
    arn = topic.create_topic(Name="elsewhere")["TopicArn"]
    endpoint = f"arn:aws:sqs:us-east-1:123456789012:{second.queue.rpartition('/')[2]}"
    topic.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)
    monkeypatch.setenv("REPORT_TOPIC_ARN", arn)
    second.receive(*(events := create_events(1)))
    second.bill(*events)

    assert second.check() == "30 November: 1 event, billed."


def test_too_many_events_for_the_time(place: Place) -> None:
    """No half report is written, and the sentence has the command to run instead."""
    place.receive(*create_events(24))
    events = [track(messageId=str(n), timestamp=TIME, receivedAt=TIME) for n in MANY]
    place.receive(*events, name="2")
    command = (
        f"segment-to-hyperline reconcile s3://{place.archive} --from 2026-11-30 --to"
        " 2026-12-01 --deep --stack stack"
    )

    # 50 requests at a quarter of 100 per second, a customer page, and a minute.
    with pytest.raises(TooManyEvents):
        place.check(seconds=62)

    (sentence,) = place.sentences()
    assert sentence == (
        "30 November could not be checked: the day has 5,000 events, which is above"
        " what DailyCheck can compare in Lambda's 15 minutes. Run this on another"
        " machine, for example on Fargate or a laptop, where it compares up to 10,000"
        f" events a second: {command}"
    )
    assert place.list_keys("daily/") == []
    assert place.check(seconds=63).startswith("30 November: 5,000 events, of which")


def test_the_archive_cannot_even_be_read_in_time(place: Place) -> None:
    """The number of events follows from what was read until then."""
    place.receive(*create_events(24))

    with pytest.raises(TooManyEvents):
        place.check(seconds=59)

    assert "the day has about 24 events, which is above" in place.sentences()[0]


def test_hyperline_is_slower_than_expected(place: Place) -> None:
    """Others use its rate limit, so that the comparison isn't finished in time."""
    events = [track(messageId=str(n), timestamp=TIME, receivedAt=TIME) for n in MANY]
    place.receive(*events)
    place.bill(*events)
    place.hyperline.limiter.limit = 60

    with pytest.raises(TooManyEvents):
        place.check(seconds=70)

    assert "the day has 4,976 events, which is above" in place.sentences()[0]
    assert place.list_keys("daily/") == []


@pytest.fixture
def replay(
    second: Place, replay_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> Queue:
    """The queue Replay, into which missing events are put."""
    assert second
    monkeypatch.setenv("BACKFILL_MISSING", "true")
    return replay_queue


def test_missing_events_are_put_into_replay(second: Place, replay: Queue) -> None:
    """And neither those that differ, nor those that are not expected."""
    events = create_events(4)
    second.receive(*events)
    second.bill({**events[0], "properties": {"seats": 9}}, events[1])
    second.bill(track(messageId="stranger", timestamp=events[1]["timestamp"]))

    sentence = second.check()

    assert sentence.startswith(
        "30 November: 4 events, of which 2 are missing and 1 is different in Hyperline,"
        " which also has 1 unexpected. 2 missing events were put into Replay. Report: "
    )
    (message,) = replay.messages()
    assert message["events"] == events[2:]
    assert "\nput into Replay: 2\n" in second.text()
    assert second.report()["put_into_replay"] == {"number": 2, "others": {}}


@pytest.mark.usefixtures("replay_queue")
def test_by_default_nothing_is_put_into_replay(second: Place, aws: FakeAws) -> None:
    """Segment may not have sent what is missing on purpose."""
    second.receive(*create_events(2))

    assert "Replay" not in second.check()
    assert "SendMessageBatch" not in aws.requests


@pytest.mark.usefixtures("replay")
def test_a_right_day_puts_nothing_into_replay(second: Place) -> None:
    """The sentence doesn't mention it."""
    events = create_events(2)
    second.receive(*events)
    second.bill(*events)

    assert second.check() == "30 November: 2 events, all billed."


def test_old_events_are_not_put_into_replay(second: Place, replay: Queue) -> None:
    """Their invoice may be closed; it is noon, so the morning is older than 3 days."""
    day = Day.create(NOW.timestamp(), 3)
    events = create_events(24, day)
    second.receive(*events, day=day)

    sentence = second.check(3)

    assert "24 are missing in Hyperline. 11 missing events were put" in sentence
    (message,) = replay.messages()
    assert message["events"] == events[13:]
    assert "not put into Replay: 13, older than 3 days" in second.text(day)


def test_an_unreadable_part_prevents_that_events_are_billed(
    second: Place, replay: Queue
) -> None:
    """It can have the last version of an event, which bills something else."""
    second.receive(*create_events(2))
    second.put(b"{", name="2")

    assert "2 are missing in Hyperline. The day is not proven" in second.check()
    assert replay.messages() == []


def test_too_many_missing_events_are_not_billed(second: Place, replay: Queue) -> None:
    """More than 10,000 are a mistake of the configuration, which a person looks at."""
    second.receive(
        *(
            track(messageId=str(n), timestamp=TIME, receivedAt=TIME)
            for n in range(10_001)
        )
    )

    assert "10,001 events, with too many differences" in second.check()
    assert replay.messages() == []


@pytest.mark.usefixtures("replay")
def test_a_queue_that_cannot_be_used_is_reported(second: Place, aws: FakeAws) -> None:
    """The missing events stay missing, which the alarm says."""
    second.receive(*create_events(1))
    denied = b'{"__type":"AccessDenied"}'
    aws.fail("SendMessageBatch", *[QueueFault("403 Forbidden", denied)] * 3)

    sentence = second.check()

    assert "1 is missing in Hyperline. 0 missing events were put into" in sentence
    problem = "the Replay queue can't be written: AccessDenied"
    assert f"not put into Replay: 1, {problem}" in second.text()


def test_line_items_of_a_missing_event_are_sent_with_it(
    second: Place, replay: Queue
) -> None:
    """The queue has whole events, and only what was missing is counted."""
    mapping = StoredMapping.create(ITEMS, NOW.timestamp() - 1e6)
    second.s3.put(second.reports, mapping.key, body=ITEMS)
    (event,) = create_events(1, properties={"items": [1, 2, 3]})
    second.receive(event)
    second.bill(event, rules=parse_rules(ITEMS, "items.toml"))
    del second.hyperline.store[event["event"], f"{event['messageId']}:1"]
    second.hyperline.rows.forget()

    assert "1 missing event was put into Replay" in second.check()
    assert len(replay.messages()) == 1


@pytest.mark.parametrize(
    ("deployed", "sentence"),
    [
        # Before the day: the old mapping, and the new one that replaced it yesterday.
        ((9, 0), "all billed."),
        # The new one alone: what the old one has billed differs.
        ((9,), "of which 3 are different"),
    ],
)
def test_the_mapping_is_that_of_the_time(
    second: Place, deployed: tuple[int, ...], sentence: str
) -> None:
    """A mapping that was changed since doesn't make old events different."""
    contents = [OLD_MAPPING, MAPPING.read_bytes()][-len(deployed) :]
    for days_ago, content in zip(deployed, contents, strict=True):
        time = Day.create(NOW.timestamp(), days_ago).start / 1_000
        key = StoredMapping.create(content, time).key
        second.s3.put(second.reports, key, body=content)
    second.receive(*(events := create_events(3)))
    second.bill(*events, rules=OLD_RULES)

    assert sentence in second.check()

    files = [each["file"] for each in second.report()["mappings"]]
    assert [DEPLOYED.key, *files] == second.list_keys("mappings/")


def test_mappings_of_earlier_times_are_not_read(second: Place) -> None:
    """Only the last one before the first day of receipt counts, and a note doesn't."""
    keys = [
        StoredMapping.create(content, Day.create(NOW.timestamp(), days).start / 1e3).key
        for days, content in ((9, b"1"), (5, b"2"), (1, MAPPING.read_bytes()))
    ]
    second.s3.put(second.reports, keys[0], "mappings/README.txt", body=b"not TOML [")
    second.s3.put(second.reports, *keys[1:], body=MAPPING.read_bytes())
    second.receive(*(events := create_events(1)))
    second.bill(*events)

    second.check()

    used = second.report()["mappings"]
    assert [each["file"] for each in used] == keys[1:]
    assert [each["commit"] for each in used] == [
        "deployed 2026-11-26T00:00:00.000Z",
        "deployed 2026-11-30T00:00:00.000Z",
    ]
    assert [each["since"] for each in used] == ["", "2026-11-30T00:00:00.000Z"]


def test_a_mapping_of_the_first_midnight_replaces_the_earlier_one(
    second: Place,
) -> None:
    """No event that is read was received before, so the earlier one isn't read."""
    first = Day.create(NOW.timestamp(), 2).start / 1_000
    content = MAPPING.read_bytes()
    exact = StoredMapping.create(content, first)
    second.s3.put(second.reports, exact.key, body=content)
    second.receive(*create_events(1))

    second.check()

    assert [each["file"] for each in second.report()["mappings"]] == [exact.key]


@pytest.mark.parametrize("name", ["stack", "s" * 128])
def test_the_subject_has_the_stack_and_the_day(
    second: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """SNS rejects a subject of 100 characters or more, and a stack can have 128."""
    monkeypatch.setenv("STACK_NAME", name)
    second.receive(*create_events(1))

    daily_check.lambda_handler({"days_ago": 1}, Context())

    (message,) = second.messages()
    assert message["Subject"] == f"{name[:80]}: 2026-11-30"


@pytest.mark.parametrize("stored", [(), (OLD_MAPPING,)])
def test_a_mapping_that_no_deployment_stored_is_not_silent(
    new: Place, log: Log, stored: Sequence[bytes]
) -> None:
    """The check stores it, and says once that nobody knows when it was deployed."""
    for content in stored:
        key = StoredMapping.create(content, NOW.timestamp() - 1e7).key
        new.s3.put(new.reports, key, body=content)
    new.receive(*(events := create_events(2)))
    new.bill(*events)

    sentence = new.check()

    assert sentence.startswith(
        "30 November: 2 events. The day is not proven: it is not known when the mapping"
        " was deployed. "
    )
    found = count(log)
    assert (found["Unproven"], found["Different"], found["level"]) == (1, 0, "WARN")
    assert new.list_keys("mappings/")[-1] == KEY
    assert new.read(KEY) == MAPPING.read_text()
    assert new.check() == "30 November: 2 events, all billed."


EVENT = {
    "StackId": "arn:stack",
    "RequestId": "1",
    "LogicalResourceId": "DeployedMapping",
}
type Deploy = Callable[..., dict[str, Any]]


@pytest.fixture
def deploy(new: Place) -> Deploy:
    """Tell the function of a deployment, as CloudFormation does; return the answer.

    The function then raises an error, if one is given.
    """
    numbers = count_up()

    def deploy(
        kind: str,
        error: type[Exception] | None = None,
        match: str = "",
        **more: str,
    ) -> dict[str, Any]:
        key = f"answer-{next(numbers)}"
        url = f"{new.s3.url}/{new.archive}/{key}"
        event = {**EVENT, "RequestType": kind, "ResponseURL": url, **more}
        with pytest.raises(error, match=match) if error else nullcontext():
            daily_check.lambda_handler(event, Context())
        answer: dict[str, Any] = json.loads(new.s3.read(new.archive, key))
        assert (answer["StackId"], answer["RequestId"]) == ("arn:stack", "1")
        assert answer["LogicalResourceId"] == "DeployedMapping"
        described = boto3.client("s3").head_object(Bucket=new.archive, Key=key)
        assert described["ContentType"] == "binary/octet-stream"  # none was sent
        return answer

    return deploy


def test_a_deployment_stores_its_mapping_once(new: Place, deploy: Deploy) -> None:
    """An update with the same mapping stores nothing, and neither does a deletion."""
    created = deploy("Create")
    assert (created["Status"], created["PhysicalResourceId"]) == ("SUCCESS", "mapping")
    assert new.list_keys() == [KEY]
    assert new.read(KEY) == MAPPING.read_text()
    updated = deploy("Update", PhysicalResourceId="known")
    assert (updated["Status"], updated["PhysicalResourceId"]) == ("SUCCESS", "known")
    assert deploy("Delete", PhysicalResourceId="known")["Status"] == "SUCCESS"
    assert new.list_keys() == [KEY]


def test_a_first_deployment_counts_as_two_checks(
    new: Place, deploy: Deploy, log: Log
) -> None:
    """So DailyCheckOverdueAlarm isn't raised before the first ones have run."""
    deploy("Create")
    deploy("Update", PhysicalResourceId="mapping")
    new.receive(*(events := create_events(1)))
    new.bill(*events)
    new.check()

    lines = log()
    assert [line["Expected"] for line in lines] == [[0], [0], [1]]
    assert [line["service"] for line in lines] == ["daily-check"] * 3
    # Powertools has a clock of its own, which the tests don't set.
    first, second, now = (line["_aws"]["Timestamp"] for line in lines)
    assert now - first == pytest.approx(2 * HOUR, abs=HOUR / 10)
    assert now - second == pytest.approx(HOUR, abs=HOUR / 10)


def test_a_deployment_stores_another_mapping(new: Place, deploy: Deploy) -> None:
    """Also if it is that of an earlier deployment, to which one has returned."""
    times = [NOW.timestamp() - days * 86_400 for days in (3, 2)]
    earlier, other = MAPPING.read_bytes(), OLD_MAPPING
    for time, content in zip(times, (earlier, other), strict=True):
        key = StoredMapping.create(content, time).key
        new.s3.put(new.reports, key, body=content)

    deploy("Update")

    assert [key[9:16] for key in new.list_keys("mappings/")] == [
        *("2026112", "2026112", "2026120"),
    ]


def test_permissions_that_do_not_apply_yet_are_waited_for(
    new: Place, deploy: Deploy
) -> None:
    """Those of a new role take some seconds."""
    new.s3.fail("ListObjectsV2", *[DENIED] * 9)

    assert deploy("Create")["Status"] == "SUCCESS"

    assert new.list_keys() == [KEY]


def test_a_mapping_that_cannot_be_stored_does_not_prevent_a_deployment(
    new: Place, deploy: Deploy
) -> None:
    """It can be the fix of an incident; the function fails, which raises an alarm."""
    new.s3.fail("ListObjectsV2", *[DENIED] * 30)

    answer = deploy("Update", InputError, "lack the permission s3:ListBucket")

    assert answer["Status"] == "SUCCESS"
    new.s3.faults.clear()
    assert new.list_keys() == []


def test_a_deletion_stores_nothing_and_never_fails(new: Place, deploy: Deploy) -> None:
    """A stack whose bucket can't be used can be deleted too."""
    new.s3.fail("ListObjectsV2", DENIED)

    assert deploy("Delete", PhysicalResourceId="known")["Status"] == "SUCCESS"

    new.s3.faults.clear()
    assert new.list_keys() == []


def test_an_unexpected_error_does_not_prevent_a_deployment(
    new: Place, deploy: Deploy
) -> None:
    """Without an answer, CloudFormation would wait, and then fail."""
    new.s3.put(new.reports, "mappings/20261399T000000Z-0123456789ab.toml")

    assert deploy("Create", ValueError, "20261399")["Status"] == "SUCCESS"


def test_an_answer_that_is_rejected_is_an_error(new: Place) -> None:
    """CloudFormation waits in vain then, and the alarm says why."""
    event = {**EVENT, "RequestType": "Create", "ResponseURL": f"{new.s3.url}/none/key"}

    with pytest.raises(requests.HTTPError, match="404"):
        daily_check.lambda_handler(event, Context())


def test_many_mappings_are_listed(new: Place, deploy: Deploy) -> None:
    """S3 lists 1,000 at a time, and the newest one is on the last page."""
    keys = [
        StoredMapping.create(OLD_MAPPING, NOW.timestamp() - 9_000 + n).key
        for n in range(1_000)
    ]
    new.s3.put(new.reports, *keys)
    newest = StoredMapping.create(MAPPING.read_bytes(), NOW.timestamp() - 1).key
    new.s3.put(new.reports, newest)

    assert deploy("Update")["Status"] == "SUCCESS"

    assert len(new.s3.find("PUT")) == 1_002  # one of them is the answer

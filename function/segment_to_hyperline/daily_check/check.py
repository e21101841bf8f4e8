"""Check a day: compare the archive with Hyperline, and write the report."""

import json
import time

from segment_to_hyperline import config
from segment_to_hyperline.archive.received_days import ReceivedDays
from segment_to_hyperline.archive.sources import Source
from segment_to_hyperline.daily_check.archive import create_command, find_events
from segment_to_hyperline.daily_check.billing import Queued, queue_missing
from segment_to_hyperline.daily_check.bucket import ReportBucket
from segment_to_hyperline.daily_check.comparison import compare_day
from segment_to_hyperline.daily_check.day import Day
from segment_to_hyperline.daily_check.mappings import (
    UsedMapping,
    read_mappings,
    store_mapping,
)
from segment_to_hyperline.daily_check.report import Report
from segment_to_hyperline.daily_check.results import Result
from segment_to_hyperline.daily_check.watch import Watch
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline.url import choose_core_url
from segment_to_hyperline.reconciliation.differences import Differences
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.workers import Job, load
from segment_to_hyperline.reconciliation.target import Compared, Target, open_target
from segment_to_hyperline.replay_queue import send_to_replay
from segment_to_hyperline.secret_cache import read_secret
from segment_to_hyperline.segment.facts import WEBHOOKS_ACTIONS

_SECRET_SECONDS = 5


def check_day(day: Day, deadline: Deadline) -> tuple[Result, str]:
    """Compare *day* and write the report; return what was found, and a sentence.

    Raises one of our errors, and writes nothing, if the day can't be compared before
    the *deadline*.
    """
    bucket = ReportBucket(config.reports_bucket())
    is_first = not bucket.has_reports()
    days = ReceivedDays.create(day.start, round(time.time() * 1_000))
    # Each deployment does so; if it could not, nobody knows when it was.
    is_undated = store_mapping(bucket, time.time())
    used = read_mappings(bucket, days.first or 0)
    with Store() as store:
        watch = Watch(day, store, deadline, create_command(day))
        target = _open_target(watch)
        # A wrong key is reported before the events are read.
        target.events.check()
        archive = find_events(days)
        compared = _compare(day, archive.sources, used, target, watch)
        found, header, _ = compared
        differences = Differences(found, header, target.requests, show_values=True)
        result = Result.create(differences, found.customers_from, is_undated=is_undated)
        queued = _queue(compared, archive.sources, result)
        result = result._replace(queued=queued and queued.number)
        url = bucket.find_url(day.name_report("txt"))
        sentence = result.describe(day, archive.note, url, is_first=is_first)
        _write(bucket, Report(day, sentence, differences, is_first, queued))
    return result, sentence


def _write(bucket: ReportBucket, report: Report) -> None:
    content = json.dumps(report.to_json(), indent=2)
    text = "".join(f"{line}\n" for line in report.text())
    bucket.put(report.day.name_report("json"), content.encode())
    bucket.put(report.day.name_report("txt"), text.encode())


def _compare(
    day: Day,
    sources: list[Source],
    used: list[UsedMapping],
    target: Target,
    watch: Watch,
) -> Compared:
    """Return the result of comparing the events of *day* in *sources*."""
    job = Job([each.mapping for each in used], WEBHOOKS_ACTIONS, sources)
    loaded = load(job, watch.store, watch.report_loading, cores=1)
    watch.require_time()
    read_at = time.time()
    found = compare_day(watch.store, target, day, watch.report_comparing)
    return target.describe(found, [each.version for each in used], loaded, read_at)


def _open_target(watch: Watch) -> Target:
    """Return Hyperline with the key in the stack's secret."""
    endpoint = read_secret(Deadline(_SECRET_SECONDS)).endpoint
    core_url = choose_core_url(endpoint, config.hyperline_core_url())
    return open_target(endpoint, core_url, report_wait=watch.report_wait)


def _queue(compared: Compared, sources: list[Source], result: Result) -> Queued | None:
    """Put missing events into Replay, if that is wanted and all is known about them.

    A part of the archive that can't be read can have the last version of an event.
    """
    is_known = result.is_complete and not result.unreadable
    if not (config.backfills_missing() and result.missing and is_known):
        return None
    environment = compared.target.endpoint.environment
    send = send_to_replay(config.replay_queue_url(), environment)
    return queue_missing(compared, sources, send, time.time())

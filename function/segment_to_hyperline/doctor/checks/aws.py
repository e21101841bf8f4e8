"""Check the stack in AWS.

https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
"""

from collections.abc import Iterator, Sequence

from segment_to_hyperline.doctor.findings import Finding, accept, doubt, reject, warn
from segment_to_hyperline.doctor.installation import Installation
from segment_to_hyperline.doctor.stack import QueueState
from segment_to_hyperline.text import format_count

_COMPLETE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}
_ROLLED_BACK = {"UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
# It was never created, or is being deleted.
_NOT_THERE = {"REVIEW_IN_PROGRESS", "DELETE_IN_PROGRESS"}
_DEPLOY = "run `sam build` and `sam deploy`"
# New accounts can have this limit. At 200 ms for a request, it is 50 requests a second.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
_LOW_CONCURRENCY = 10
_HOUR = 60 * 60
# A message is replayed at the latest after 15 minutes.
_LONG_WAIT = _HOUR


def check_credentials(found: Installation) -> Iterator[Finding]:
    """Whose credentials are used, and in which region."""
    identity = found.aws.identity.get()
    yield accept(f"{identity.arn} in the region {identity.region}")


def check_stack(found: Installation) -> Iterator[Finding]:
    """Whether the last deployment succeeded, and whether it is this application."""
    stack = found.aws.stack.get()
    if "WebhookUrl" not in stack.outputs and stack.status in _COMPLETE:
        yield reject(
            f"the stack '{stack.name}' is not one of this application",
            "choose another with --stack",
        )
    elif stack.status in _COMPLETE:
        yield accept(f"{stack.name}: {stack.status}")
    elif stack.status in _ROLLED_BACK:
        yield warn(
            f"the last update has failed, and the version before it runs:"
            f" {found.aws.failure.get()}",
            f"correct the reason, then {_DEPLOY}",
        )
    elif stack.status in _NOT_THERE:
        yield reject(f"{stack.name}: {stack.status}", _DEPLOY)
    elif stack.status.endswith("_IN_PROGRESS"):
        yield warn(f"{stack.name}: {stack.status}", "wait until it is finished")
    else:
        remedy = f"correct the reason, then {_DEPLOY}"
        if stack.status == "ROLLBACK_COMPLETE":
            remedy = f"correct the reason, run `sam delete`, then {_DEPLOY}"
        yield reject(f"{stack.status}: {found.aws.failure.get()}", remedy)


def check_version(found: Installation) -> Iterator[Finding]:
    """Whether the deployed template is of the version that this command is of."""
    deployed = found.aws.stack.get().outputs.get("Version", "0.1.0 or earlier")
    if deployed == found.request.version:
        yield accept(deployed)
    else:
        yield warn(
            f"version {deployed} is deployed, and this is {found.request.version}",
            f"{_DEPLOY} this version, or use the command of the deployed one",
        )


def check_functions(found: Installation) -> Iterator[Finding]:
    """Whether the functions can be invoked."""
    for reading in found.aws.functions.values():
        function = reading.get()
        if function.state != "Active":
            yield reject(f"{function.name}: {function.state}", _DEPLOY)
        elif function.last_update == "InProgress":
            yield warn(f"{function.name} is being updated", "wait until it is finished")
        elif function.last_update != "Successful":
            yield reject(f"{function.name}: {function.last_update}", _DEPLOY)
        else:
            yield accept(f"{function.name}: {function.state}")


def check_deployed_mapping(found: Installation) -> Iterator[Finding]:
    """Whether the functions have the mapping that this command uses."""
    local, path = found.mapping.content.get(), found.request.mapping
    mappings = {name: reading.get() for name, reading in found.aws.mappings.items()}
    other = [name for name, content in mappings.items() if content != local]
    if other:
        yield reject(
            f"{' and '.join(other)} have another one than {path}",
            f"{_DEPLOY}, or choose the deployed mapping with --mapping",
        )
    else:
        yield accept(f"{' and '.join(mappings)} have {path}")


def check_event_source(found: Installation) -> Iterator[Finding]:
    """Whether parked events are delivered."""
    state = found.aws.event_source.get()
    if state in {"Enabled", "Enabling", "Creating", "Updating"}:
        yield accept(f"Replay invokes the Replayer: {state}")
    else:
        yield reject(
            f"Replay doesn't invoke the Replayer: {state}",
            "enable the trigger of the Replayer in Lambda's console; until then,"
            " parked events are not billed",
        )


def check_queues(found: Installation) -> Iterator[Finding]:
    """Whether events wait for a person, or wait for long."""
    quarantine, replay = found.aws.quarantine.get(), found.aws.replay.get()
    shown = _describe("Quarantine", quarantine)
    if quarantine.waiting + quarantine.hidden:
        yield reject(
            shown,
            "see why with `segment-to-hyperline quarantine list`, correct it, and"
            " redrive: docs/quarantine.md; a message is deleted after 14 days",
        )
    else:
        yield accept(shown)
    shown = _describe("Replay", replay)
    if replay.waiting + replay.hidden and replay.oldest_seconds is None:
        yield doubt(shown, "see the dashboard for the age of the oldest event")
    elif (replay.oldest_seconds or 0) > _LONG_WAIT:
        yield warn(shown, "the lines below say whether Hyperline accepts the key")
    else:
        yield accept(shown)


def _describe(name: str, queue: QueueState) -> str:
    waiting = format_count(queue.waiting + queue.hidden, "message")
    if not queue.waiting + queue.hidden:
        return f"{name}: empty"
    if queue.oldest_seconds is None:
        return f"{name}: {waiting}, of unknown age"
    return f"{name}: {waiting}, the oldest is {queue.oldest_seconds / _HOUR:.1f} h old"


def check_topic(found: Installation) -> Iterator[Finding]:
    """Whether somebody is notified of an alarm."""
    topic = found.aws.topic.get()
    if topic is None:
        yield warn(
            "the parameter AlarmTopicArn is empty, so nobody is notified of an alarm",
            "create an SNS topic with `init --email`, and deploy as it prints",
        )
        return
    if topic.key.endswith("alias/aws/sns"):
        yield reject(
            f"CloudWatch can't use the key {topic.key} of the topic",
            "encrypt the topic with a customer managed key whose policy allows"
            " cloudwatch.amazonaws.com, or with none",
        )
    if not topic.confirmed:
        pending = f", {topic.pending} not confirmed" if topic.pending else ""
        yield reject(
            f"the topic {topic.arn} has no confirmed subscription{pending}",
            "subscribe to it, and confirm with the link in the e-mail",
        )
    elif topic.pending:
        yield warn(
            f"{format_count(topic.pending, 'subscription')} of {topic.arn} not"
            " confirmed",
            "confirm with the link in the e-mail",
        )
    else:
        yield accept(f"{topic.arn} has {format_count(topic.confirmed, 'subscription')}")


def check_alarms(found: Installation) -> Iterator[Finding]:
    """Whether an alarm is raised, was deleted, or can't notify anybody."""
    alarms = found.aws.alarms.get()
    wrong = not alarms
    if not alarms:
        yield reject("the stack has no alarms", _DEPLOY)
    for alarm in alarms:
        if alarm.state == "ALARM":
            yield reject(f"{alarm.name} is raised", alarm.reason)
        elif not alarm.state:
            yield reject(f"{alarm.name} was deleted", _DEPLOY)
        elif not alarm.notifies:
            yield reject(
                f"the actions of {alarm.name} are disabled",
                "enable them in CloudWatch's console",
            )
        else:
            continue
        wrong = True
    if not wrong:
        yield accept(f"none of {format_count(len(alarms), 'alarm')} is raised")


def check_logs(found: Installation) -> Iterator[Finding]:
    """Whether the functions can write their lines, which the metrics are made of."""
    groups = found.aws.log_groups.get()
    if not groups:
        yield reject("the stack has no log groups", _DEPLOY)
        return
    missing = [name for name, days in groups.items() if days == 0]
    if missing:
        yield reject(
            f"{_join(missing)} was deleted, so there are no logs, metrics and alarms",
            "delete the stack's function, or create the group again with its name",
        )
    endless = [name for name, days in groups.items() if days is None]
    if endless:
        yield warn(f"{_join(endless)} is never deleted", "set its retention in days")
    if not missing and not endless:
        shown = ", ".join(f"{name} {days} days" for name, days in groups.items())
        yield accept(shown)


def _join(names: Sequence[str]) -> str:
    return ", ".join(names)


def check_concurrency(found: Installation) -> Iterator[Finding]:
    """Whether enough Receivers can run at the same time."""
    concurrency = found.aws.concurrency.get()
    available, limit = concurrency.available, concurrency.limit
    shown = (
        f"{available:,} Receivers can run at the same time; the limit of the account"
        f" is {limit:,}"
    )
    if not available:
        yield reject(
            shown,
            "remove the reserved concurrency of 0 from the Receiver; until then,"
            " Segment gets 503 for each request",
        )
    elif available <= _LOW_CONCURRENCY:
        yield warn(
            shown,
            'request an increase of "Concurrent executions" in AWS Service Quotas',
        )
    else:
        yield accept(shown)

"""What the response to the event means, and what to do about it.

Pure: no network, no environment, no clock.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from segment_to_hyperline.doctor.findings import Result
from segment_to_hyperline.doctor.send.replies import Reply, read_reply
from segment_to_hyperline.doctor.send.steps import Step
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.sending.responses import NoResponse, Response
from segment_to_hyperline.text import cut, make_printable

_NAME, _PREVIEW = "response", "preview"
_MOST_CHARACTERS = 300
_WAIT = "run the command again later"


class Expectation(NamedTuple):
    """What is known about the event before it is sent."""

    is_test: bool
    """Whether its messageId is that of a test event, which is never billed."""
    is_billed: bool
    """Whether the mapping of this command bills it."""
    billed: str
    """Which events this mapping bills, for people."""


class Answer(NamedTuple):
    """What a response means."""

    result: Result
    meaning: str
    remedy: str = ""


def _wrong(meaning: str, remedy: str) -> Answer:
    return Answer(Result.WRONG, meaning, remedy)


def _unknown(meaning: str, remedy: str) -> Answer:
    return Answer(Result.UNKNOWN, meaning, remedy)


_NO_CUSTOMER = (
    "pass --customer with the id of a customer who exists in this environment of"
    " Hyperline: its external id, or the id that begins with cus_; if the customer"
    " exists, the log of the Receiver has the reason"
)
_DEPLOY = (
    "the deployed mapping isn't the one that this command has read: deploy that one,"
    " or pass the deployed one with --mapping"
)
_MAPPING = "correct the rule, or pass an event that is billed as EVENTS"
_CORRECT_IT = "correct the secret as the reason says, then wait for a few seconds"
_HYPERLINE = f"see Hyperline's status page, and {_WAIT}"
_HOST = "check the parameter HyperlineUrl of the stack, and whether a proxy is used"
_KEY = "put a valid API key into the secret (hyperline_api_key)"
_LOG = "see the log of the Receiver"

# By the code of the reason. A code that isn't here is explained by the outcome.
_CODES: Mapping[str, Answer] = {
    Code.TEST_EVENT: Answer(
        Result.OK, "previewed as a test event, and not billed, because of the key"
    ),
    Code.UNMAPPABLE: _wrong("the mapping can't bill this event", _MAPPING),
    Code.MAPPING_FAILED: _wrong(
        "the mapping failed because of a bug", "report the bug with the mapping"
    ),
    Code.EVENT_REJECTED: _wrong(
        "Hyperline rejected the event, probably because there is no such customer",
        _NO_CUSTOMER,
    ),
    Code.EVENT_FAILED: _wrong(
        "Hyperline rejected the event, probably because there is no such customer",
        _NO_CUSTOMER,
    ),
    Code.EVENT_TOO_LARGE: _wrong("the event is too large", "pass a smaller event"),
    Code.SECRET_UNUSABLE: _wrong("the Receiver can't use the secret", _CORRECT_IT),
    Code.PREVIOUS_SECRET: _unknown(
        "the Receiver has a newer secret than this command has read",
        "run the command again",
    ),
    Code.KEY_REJECTED: _wrong("Hyperline rejected the API key", _KEY),
    Code.REQUEST_REJECTED: _wrong(
        "Hyperline rejected the event, and has accepted no other lately: there can be"
        " no such customer, or the host is wrong",
        f"{_NO_CUSTOMER}; otherwise {_HOST}",
    ),
    Code.FORBIDDEN: _wrong("Hyperline or a firewall rejected the request", _HOST),
    Code.THROTTLED: _unknown("Hyperline's rate limit is exceeded", _WAIT),
    Code.HYPERLINE_FAILED: _unknown("Hyperline failed", _HYPERLINE),
    Code.NO_RESPONSE: _unknown("Hyperline didn't respond in time", _HYPERLINE),
    Code.UNREACHABLE: _wrong("the Receiver can't connect to Hyperline", _HOST),
    Code.REDIRECTED: _wrong("Hyperline's host redirected the request", _HOST),
    Code.UNKNOWN_STATUS: _wrong("Hyperline's response isn't as documented", _HOST),
    Code.FOREIGN_RESPONSE: _wrong("the response isn't Hyperline's", _HOST),
    Code.LATE: _unknown(
        "the Receiver didn't have enough time", "run the command again"
    ),
    Code.QUEUE_UNAVAILABLE: _wrong(
        "the Receiver couldn't store the event in its queue",
        "check the queues of the stack, and the permissions of the Receiver",
    ),
    Code.UNAUTHORIZED: _wrong(
        "the Receiver rejected the signature or the token: its secret isn't the one"
        " that was read",
        "check that the URL and the secret are those of the same stack; if the secret"
        " was changed just now, wait for 5 minutes, and run the command again",
    ),
    Code.MALFORMED: _wrong(
        "the Receiver can't read the body, so it was changed on the way",
        "check whether a proxy is used: HTTPS_PROXY and NO_PROXY",
    ),
}

# By the label of the outcome.
_OUTCOMES: Mapping[str, Answer] = {
    Outcome.DELIVERED.value.label: Answer(Result.OK, "Hyperline accepted the event"),
    Outcome.FILTERED.value.label: _wrong(
        "no rule of the deployed mapping bills this event",
        "pass a file with an event that is billed as EVENTS",
    ),
    Outcome.PREVIEWED.value.label: _wrong("previewed, and not billed", _LOG),
    Outcome.QUARANTINED.value.label: _wrong("the event can't be billed", _LOG),
    Outcome.PARKED.value.label: _unknown("the event is not billed yet", _LOG),
    Outcome.PENDING.value.label: _unknown(
        "the event is neither billed nor stored; Segment would retry it", _LOG
    ),
}

# By the status, for responses that are not the Receiver's.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
_STATUSES: Mapping[int, Answer] = {
    403: _wrong(
        "API Gateway or a firewall rejected the request",
        "check for a firewall (AWS WAF), an authorizer, and the allowed IP addresses",
    ),
    404: _wrong(
        "there is no such route",
        "use the stack's output WebhookUrl, which ends in /segment",
    ),
    413: _wrong("the request is too large", "pass a smaller event"),
    429: _unknown(
        "API Gateway's rate limit is exceeded, or the Receiver's concurrency",
        f"{_WAIT}; the parameters MaxRequestsPerSecond and ReservedConcurrency set"
        " them",
    ),
    500: _wrong("the Receiver failed, or may not be invoked", _LOG),
    503: _wrong("the Receiver failed or took too long", _LOG),
    504: _wrong("the Receiver took too long", _LOG),
}
# By the class of the status (4xx is 400 to 499).
_CLASSES: Mapping[int, Answer] = {
    2: _wrong("the response isn't the Receiver's", "check the URL"),
    3: _wrong(
        "the URL redirects; Segment's signature would be lost",
        "use the stack's output WebhookUrl",
    ),
    4: _wrong("the request was rejected, and not by the Receiver", "check the URL"),
    5: _wrong("the request failed before the Receiver responded", _LOG),
}
_NO_MEANING = _wrong("the response has an unknown status", "check the URL")

_NOT_BILLED_HERE = _wrong(
    "Hyperline accepted the event, although this command's mapping doesn't bill it",
    _DEPLOY,
)
_SANDBOX = _unknown(
    "the Receiver has billed the event in the sandbox, although this command has read"
    " another key",
    "if the key was changed just now, wait for 5 minutes, and run the command again;"
    " the event stays in the sandbox",
)
_OTHER_KEY = _unknown(
    "the Receiver previewed the event, because its API key is not one of the sandbox,"
    " although this command has read a sandbox key",
    "if the key was changed just now, wait for 5 minutes, and run the command again;"
    " otherwise the Receiver can't read the secret, and uses an earlier one: see its"
    " log",
)


def answer_reply(reply: Reply, expected: Expectation) -> Answer:
    """Return what the *reply* of the Receiver means."""
    found = _CODES.get(reply.code) or _OUTCOMES.get(reply.label)
    answer = found or _answer_status(reply.status)
    if reply.label == Outcome.DELIVERED.value.label:
        if expected.is_test:
            return _SANDBOX
        return answer if expected.is_billed else _NOT_BILLED_HERE
    if reply.code == Code.TEST_EVENT and not expected.is_test:
        return _OTHER_KEY
    if Outcome.FILTERED.value.label == reply.label or reply.code == Code.UNMAPPABLE:
        if expected.is_billed:
            return answer._replace(remedy=_DEPLOY)
        return answer._replace(remedy=f"{answer.remedy}: {expected.billed}")
    return answer


def _answer_status(status: int) -> Answer:
    return _STATUSES.get(status) or _CLASSES.get(status // 100, _NO_MEANING)


def explain_response(response: Response | NoResponse, expected: Expectation) -> Step:
    """Return the step that says what the *response* means."""
    if isinstance(response, NoResponse):
        return Step(
            Result.WRONG,
            _NAME,
            response.reason,
            "Segment would retry; check the URL, and see the log of the Receiver",
        )
    reply = read_reply(response)
    if reply is None:
        answer = _answer_status(response.status)
        evidence = f"status {response.status}, which is not from the Receiver"
        return Step(
            answer.result, _NAME, f"{evidence}: {answer.meaning}", answer.remedy
        )
    answer = answer_reply(reply, expected)
    evidence = f"{_describe(reply)}: {answer.meaning}"
    if reply.reason and answer.result is not Result.OK:
        evidence += f" ({_show(reply.reason)})"
    return Step(answer.result, _NAME, evidence, answer.remedy)


def explain_preview(
    response: Response | NoResponse, billable: Sequence[BillableEvent]
) -> Step | None:
    """Return whether the deployed mapping would bill a test event as *billable*.

    It is None if the response doesn't say so, because the event was not previewed.
    """
    reply = read_reply(response)
    if reply is None or reply.code != Code.TEST_EVENT:
        return None
    if reply.preview is None:
        evidence = "what would be billed is too long for the response"
        return Step(Result.UNKNOWN, _PREVIEW, evidence, "pass a smaller event")
    if reply.preview != [each.fields() for each in billable]:
        evidence = "the deployed mapping bills something else for the event"
        return Step(Result.WRONG, _PREVIEW, evidence, _DEPLOY)
    evidence = "the deployed mapping bills the same as this command has shown"
    return Step(Result.OK, _PREVIEW, evidence)


def find_warnings(response: Response | NoResponse) -> list[Step]:
    """Return a step for each warning of the Receiver about its secret."""
    reply = read_reply(response)
    return [
        Step(Result.WRONG, "secret", _show(warning), "correct the secret")
        for warning in (reply.warnings if reply else ())
    ]


def _describe(reply: Reply) -> str:
    words = filter(None, (reply.label, reply.code))
    return f"status {reply.status} {', '.join(map(_show, words))}".strip()


def _show(text: str) -> str:
    return cut(make_printable(text), _MOST_CHARACTERS)

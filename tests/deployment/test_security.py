"""What SECURITY.md promises of the deployed stack, whatever the parameters are.

docs/deployment.md could be changed together with the template, so these don't use it.
"""

import re
from collections.abc import Iterator, Mapping

import pytest

from local_stack.aws import ROOT
from tests.deployment.transformed import Stack

SECURITY = (ROOT / "SECURITY.md").read_text("utf-8")
REPORTS = "Reports"
# For each type of resource that stores data, the property with the time it is kept, and
# how many of them are a day.
STORES = {
    "AWS::Logs::LogGroup": ("RetentionInDays", 1),
    "AWS::S3::Bucket": ("LifecycleConfiguration.Rules.0.ExpirationInDays", 1),
    "AWS::SQS::Queue": ("MessageRetentionPeriod", 24 * 60 * 60),
}


def list_all(stacks: Mapping[str, Stack]) -> Iterator[tuple[str, str, str]]:
    """Yield the resource, the path and the value of each property."""
    for stack in stacks.values():
        for (resource, path), value in stack.rows.items():
            yield resource, path, value


def find_resources(stack: Stack, kind: str) -> set[str]:
    """Return the resources of a type."""
    return {name for (name, p), v in stack.rows.items() if (p, v) == ("Type", kind)}


def test_queues_are_encrypted(stack: Stack) -> None:
    """They contain personal data."""
    for queue in find_resources(stack, "AWS::SQS::Queue"):
        assert stack.rows[queue, "SqsManagedSseEnabled"] == "true"


def test_queues_and_reports_reject_plain_http(stack: Stack) -> None:
    """Nobody on the way can read them; the policies allow nothing."""
    queues = {f"${{{q}.Arn}}" for q in find_resources(stack, "AWS::SQS::Queue")}
    for policy, action, covered in (
        ("QueuePolicy", "sqs:*", queues),
        ("ReportsPolicy", "s3:*", {"${Reports.Arn}", "${Reports.Arn}/*"}),
    ):
        assert [p for r, p in stack.rows if r == policy and p.startswith("Allow")] == []
        denied = stack.rows[policy, f"Deny {action}"]
        resources = re.findall(r"\$\{\w+\.Arn\}(?:/\*)?", denied)
        assert set(resources) == covered
        assert denied.startswith("Principal *; ")
        assert denied.endswith("Condition.Bool.aws:SecureTransport false")


def test_reports_are_private_and_encrypted(stack: Stack) -> None:
    """They contain ids of customers and events."""
    public = "PublicAccessBlockConfiguration"
    algorithm = "ServerSideEncryptionByDefault.SSEAlgorithm"
    encryption = f"BucketEncryption.ServerSideEncryptionConfiguration.0.{algorithm}"
    for name in ("Acls", "Policy"):
        assert stack.rows[REPORTS, f"{public}.BlockPublic{name}"] == "true"
    assert stack.rows[REPORTS, f"{public}.IgnorePublicAcls"] == "true"
    assert stack.rows[REPORTS, f"{public}.RestrictPublicBuckets"] == "true"
    assert stack.rows[REPORTS, encryption] == "AES256"


def test_only_the_replayer_reads_a_queue(stacks: Mapping[str, Stack]) -> None:
    """The Receiver, which is exposed to the internet, can't."""
    reading = re.compile(r"Allow (?:sqs:(?!SendMessage)|sqs:.*\*|\*)")
    found = {(r, p, v) for r, p, v in list_all(stacks) if reading.match(p)}

    assert {(resource, value) for resource, _, value in found} == {
        ("ReplayerRole", "Resource ${Replay.Arn}")
    }


def test_no_role_has_a_permission_for_everything(stacks: Mapping[str, Stack]) -> None:
    """Each names its actions and resources."""
    allowed = {(p, v) for _, p, v in list_all(stacks) if p.startswith("Allow ")}

    assert [row for row in allowed if "*" in row[0] or "Resource *" in row[1]] == []


def test_the_rate_of_requests_is_limited(stacks: Mapping[str, Stack]) -> None:
    """By the parameter, for every route."""
    stage = "WebhookApiApiGatewayDefaultStage"
    for stack in stacks.values():
        for name in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
            limit = stack.rows[stage, f"DefaultRouteSettings.{name}"]
            assert limit == stack.parameters["MaxRequestsPerSecond"]


def test_the_access_log_has_no_headers_and_bodies(stack: Stack) -> None:
    """But the address and the user agent of the sender, and what went wrong."""
    stage = "WebhookApiApiGatewayDefaultStage"
    written = stack.rows[stage, "AccessLogSettings.Format"]

    assert set(re.findall(r"\$context\.([\w.]+)", written)) == {
        *("requestId", "identity.userAgent", "identity.sourceIp", "status"),
        *("responseLatency", "error.message", "integrationErrorMessage"),
    }


def test_the_audit_log_stays(stack: Stack) -> None:
    """It is evidence also after the stack was deleted."""
    assert stack.rows["AuditLog", "DeletionPolicy"] == "RetainExceptOnCreate"
    assert stack.rows["AuditLog", "UpdateReplacePolicy"] == "Retain"


def read_retentions() -> dict[str, str]:
    """Return the second column of the table of places, by each name in the first."""
    section = SECURITY.partition("\n## Personal data\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines()]
    return {
        name: row[2]
        for row in rows
        if len(row) == 4
        for name in re.findall(r"`([A-Z]\w+)`", row[0])
    }


@pytest.mark.parametrize("scenario", ["all resources", "everything"])
def test_every_store_of_the_stack_is_documented(
    stacks: Mapping[str, Stack], scenario: str
) -> None:
    """With how long it keeps data, which is limited."""
    stack, documented = stacks[scenario], read_retentions()
    for kind, (path, unit) in STORES.items():
        for name in find_resources(stack, kind):
            days = stack.number(name, path) / unit
            text = documented[name]
            if "`LogRetentionInDays`" in text:
                assert days == float(stack.parameters["LogRetentionInDays"])
                days = float(stacks["defaults"].parameters["LogRetentionInDays"])
            assert f"{days:,.0f} days" in text

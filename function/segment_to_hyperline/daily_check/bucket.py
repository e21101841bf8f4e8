"""The bucket with the reports and the mappings, and the topic for the sentences."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from segment_to_hyperline.archive.aws_access import (
    AWS_ERRORS,
    create_client,
    explain_failure,
)
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.s3_objects import SCHEME
from segment_to_hyperline.daily_check.day import REPORTS
from segment_to_hyperline.daily_check.deployed_mappings import (
    MAPPINGS,
    StoredMapping,
    read_keys,
)


class ReportBucket:
    """A bucket; each method raises `InputError` if it can't be used."""

    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def _client(self) -> Any:
        return create_client("s3")

    def find_url(self, key: str) -> str:
        """Return the URL of an object."""
        return f"{SCHEME}{self._name}/{key}"

    def put(self, key: str, content: bytes) -> None:
        """Store an object."""
        self._send("put_object", "s3:PutObject", Key=key, Body=content)

    def has_reports(self) -> bool:
        """Return whether there is a report of any day."""
        page = self._send("list_objects_v2", "s3:ListBucket", Prefix=REPORTS, MaxKeys=1)
        return bool(page.get("KeyCount"))

    def list_mappings(self) -> Sequence[StoredMapping]:
        """Return the mappings that were deployed, the oldest first."""
        return read_keys(self._list_keys(MAPPINGS))

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        body = self._send("get_object", "s3:GetObject", Key=key)["Body"]
        content: bytes = body.read()
        return content

    def _list_keys(self, prefix: str) -> Iterator[str]:
        options: dict[str, str] = {}
        while True:
            page = self._send(
                "list_objects_v2", "s3:ListBucket", Prefix=prefix, **options
            )
            yield from (listed["Key"] for listed in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            options = {"ContinuationToken": page["NextContinuationToken"]}

    def _send(self, operation: str, permission: str, **parameters: Any) -> Any:
        try:
            return getattr(self._client, operation)(Bucket=self._name, **parameters)
        except AWS_ERRORS as error:
            where = f"'{self.find_url(parameters.get('Key', ''))}'"
            needed = f"{permission} for the bucket {self._name}"
            raise InputError(f"{where}: {explain_failure(error, needed)}") from error


def publish(topic_arn: str, subject: str, sentence: str) -> None:
    """Send a *sentence* to a topic, if there is one; raises `InputError`."""
    if not topic_arn:
        return
    try:
        # arn:aws:sns:REGION:ACCOUNT:NAME
        sns = create_client("sns", topic_arn.split(":")[3])
        sns.publish(TopicArn=topic_arn, Subject=subject, Message=sentence)
    except AWS_ERRORS as error:
        problem = explain_failure(error, f"sns:Publish for {topic_arn}")
        raise InputError(f"{topic_arn}: {problem}") from error

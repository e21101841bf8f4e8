"""Fixtures: a fake S3."""

from collections.abc import Iterator

import pytest

from segment_to_hyperline.archive.s3_objects import find_client
from tests.segment_to_hyperline.archive.fake_s3 import FakeS3

_S3 = FakeS3()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeS3]:
    """The S3 that is read, without requests and faults."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", _S3.url)
    find_client.cache_clear()
    _S3.requests.clear()
    yield _S3
    _S3.faults.clear()
    find_client.cache_clear()

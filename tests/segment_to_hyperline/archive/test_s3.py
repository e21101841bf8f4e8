"""Which objects of S3 are read, and why none are."""

import gzip
from datetime import UTC, datetime
from functools import partial

import pytest

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.received_days import ALL_DAYS, ReceivedDays
from segment_to_hyperline.archive.s3 import find_objects
from segment_to_hyperline.archive.s3_objects import find_client
from tests.segment_to_hyperline.archive.fake_s3 import FakeS3, Fault


def day(date: str) -> int:
    """Return the folder of a day."""
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp() * 1_000)


APRIL = ReceivedDays.create(day("2026-04-01"), day("2026-05-02"))
LOGS = "backup/segment-logs"


class Bucket:
    """A bucket of this test."""

    def __init__(self, s3: FakeS3) -> None:
        self.name = s3.create_bucket()
        self.put = partial(s3.put, self.name)
        self._s3 = s3

    def put_archive(self, *dates: str, source: str = "source") -> None:
        """Store a file of Segment's archive for each day."""
        for date in dates:
            key = f"{LOGS}/{source}/{day(date)}/file.gz"
            self.put(key, body=gzip.compress(b"{}"))

    def find(self, prefix: str = "", days: ReceivedDays = ALL_DAYS) -> list[str]:
        """Return the keys of the objects that are found, after forgetting requests."""
        self._s3.requests.clear()
        name = f"s3://{self.name}/{prefix}"
        return [stored.key for stored in find_objects(name, days)]

    def explain(self, prefix: str = "", days: ReceivedDays = ALL_DAYS) -> str:
        """Return why nothing is found, without the name of the bucket."""
        with pytest.raises(InputError) as caught:
            self.find(prefix, days)
        return str(caught.value).replace(self.name, "bucket")


@pytest.fixture
def bucket(s3: FakeS3) -> Bucket:
    """An empty bucket."""
    return Bucket(s3)


DATES = ["2026-03-30", "2026-03-31", "2026-04-15", "2026-05-02", "2026-05-03"]


@pytest.mark.parametrize(
    "prefix",
    [
        *("", "backup", "backup/", "backup/segment-logs", "backup/segment-logs/"),
        *("backup/segment-logs/source", "backup/segment-logs/source/"),
    ],
)
def test_only_the_days_of_the_range_are_listed(
    bucket: Bucket, s3: FakeS3, prefix: str
) -> None:
    """From any level of the archive: a day before the range, until the last receipt."""
    bucket.put_archive(*DATES)

    found = bucket.find(prefix, APRIL)

    needed = [f"{LOGS}/source/{day(date)}/" for date in DATES[1:4]]
    assert found == [f"{folder}file.gz" for folder in needed]
    listed = [r.target for r in s3.find("ListObjectsV2")]
    assert [name for name in listed if name.count("/") > 3] == needed
    assert len(listed) <= 5 + len(needed)


def test_every_source_is_read(bucket: Bucket) -> None:
    """In the order of their keys, and also if only one has a day of the range."""
    bucket.put_archive("2026-04-02", "2026-04-01", source="b")
    bucket.put_archive("2026-04-03", source="a")
    bucket.put_archive("2026-06-03", source="c")

    found = bucket.find("backup", APRIL)

    assert found == [
        f"{LOGS}/{name}/{day(date)}/file.gz"
        for name, date in [
            ("a", "2026-04-03"),
            ("b", "2026-04-01"),
            ("b", "2026-04-02"),
        ]
    ]


def test_a_day_or_an_object_is_read_whatever_the_range_is(bucket: Bucket) -> None:
    """Whoever names it, means it."""
    bucket.put_archive("2026-01-01", "2026-01-02")
    folder = f"{LOGS}/source/{day('2026-01-01')}"

    assert bucket.find(folder, APRIL) == [f"{folder}/file.gz"]
    assert bucket.find(f"{folder}/file.gz", APRIL) == [f"{folder}/file.gz"]


def test_what_is_beside_the_archive_is_not_read(bucket: Bucket) -> None:
    """A bucket often has other data."""
    bucket.put_archive("2026-04-01")
    bucket.put("backup/costs.csv", "backup/other/file", "backup/segment-logs-old/x")

    assert bucket.find("backup") == [f"{LOGS}/source/{day('2026-04-01')}/file.gz"]


@pytest.mark.parametrize("prefix", ["copies", "copies/", "copies/a/"])
def test_another_folder_is_read_as_a_whole(bucket: Bucket, prefix: str) -> None:
    """At any depth, like a folder on a disk: without what is hidden."""
    keys = ["copies/a/1.json", "copies/a/b/c/d/e/2.gz", "copies/a/2026-04-01/3.json"]
    bucket.put(*keys, "copies/a/", "copies/a/.hidden", "copies/a/.b/4.json")
    bucket.put("copies-old/x.json")

    assert bucket.find(prefix, APRIL) == sorted(keys)


def test_days_without_the_folder_segment_logs(bucket: Bucket) -> None:
    """A copy of a source can be anywhere."""
    bucket.put(f"copy/{day('2026-03-01')}/a.gz", f"copy/{day('2026-04-01')}/b.gz")
    bucket.put("copy/late.json")

    found = bucket.find("", APRIL)

    assert found == [f"copy/{day('2026-04-01')}/b.gz", "copy/late.json"]


def test_a_bucket_with_files_is_read_as_a_whole(bucket: Bucket) -> None:
    """It is a folder of events."""
    bucket.put("1.json", "more/2.json")

    assert bucket.find("") == ["1.json", "more/2.json"]


def test_the_pages_of_a_list_follow_each_other(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 lists at most 1,000 objects or folders at a time, here 2."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    dates = [f"2026-04-{number:02}" for number in range(1, 8)]
    bucket.put_archive(*dates)
    bucket.put(*(f"{LOGS}/source/{day('2026-04-03')}/{n}" for n in range(5)))

    assert len(bucket.find("backup", APRIL)) == 12


def test_names_are_not_encoded(bucket: Bucket) -> None:
    """A key can have any character."""
    bucket.put("a b/c+d%20é/1.json")

    assert bucket.find("a b/c+d%20é") == ["a b/c+d%20é/1.json"]


def test_the_size_is_known(bucket: Bucket) -> None:
    """To show the progress."""
    bucket.put("a", body=b"123")
    bucket.put("b", body=b"4567")

    found = find_objects(f"s3://{bucket.name}")

    assert sum(stored.size for stored in found) == 7
    assert found[0].name == f"s3://{bucket.name}/a"


def test_no_day_of_the_range(bucket: Bucket) -> None:
    """The days that there are show what is wrong."""
    bucket.put_archive("2026-01-01", "2026-01-31")

    assert bucket.explain(LOGS, APRIL) == (
        f"'s3://bucket/{LOGS}/' has no events received from 2026-03-31 until"
        " 2026-05-02: its days are 2026-01-01 to 2026-01-31"
    )


def test_other_sources(bucket: Bucket) -> None:
    """A source can be mistyped, or be in another archive."""
    for name in ("abc", "def"):
        bucket.put_archive("2026-04-01", source=name)

    assert bucket.explain(f"{LOGS}/abd") == (
        f"'s3://bucket/{LOGS}/abd/' has no objects: 's3://bucket/{LOGS}/' has abc/,"
        " def/"
    )


def test_a_folder_that_does_not_exist(bucket: Bucket, s3: FakeS3) -> None:
    """Also if the policy only permits to list this folder."""
    bucket.put("other")
    nothing = "'s3://bucket/nothing/' has no objects: check the bucket and the folder"

    assert bucket.explain("nothing/") == nothing
    s3.fail("ListObjectsV2", None, Fault("403 Forbidden", "AccessDenied"))
    assert bucket.explain("nothing/") == nothing


def test_an_empty_bucket(bucket: Bucket) -> None:
    """It isn't an archive yet."""
    assert "has no objects: check the bucket" in bucket.explain()


def test_a_bucket_of_something_else(bucket: Bucket) -> None:
    """A large one would take hours to list, and its files are no events."""
    bucket.put(*(f"AWSLogs{number}/1/CloudTrail/x.gz" for number in range(7)))

    assert bucket.explain() == (
        "'s3://bucket/' has no folder segment-logs/: name the folder with the events,"
        " such as AWSLogs0/, AWSLogs1/, AWSLogs2/, AWSLogs3/, AWSLogs4/ and 2 more"
    )


@pytest.mark.parametrize(
    ("name", "explanation"),
    [
        ("s3://no-such-bucket-of-ours", "the bucket doesn't exist: check its name"),
        ("s3://", "the name of the bucket is invalid: check it"),
        ("s3://our bucket/a", "the name of the bucket is invalid: check it"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_no_such_bucket(name: str, explanation: str) -> None:
    """Its name is checked before anything else."""
    with pytest.raises(InputError, match=explanation):
        find_objects(name)


@pytest.mark.parametrize(
    ("fault", "explanation"),
    [
        (
            Fault("403 Forbidden", "AccessDenied"),
            "the AWS credentials lack the permission s3:ListBucket for the bucket",
        ),
        (
            Fault("403 Forbidden", "InvalidAccessKeyId"),
            "AWS rejected the credentials: check AWS_PROFILE and the region",
        ),
        (
            Fault("400 Bad Request", "ExpiredToken"),
            "the AWS credentials have expired: sign in",
        ),
        (
            Fault("400 Bad Request", "IllegalLocationConstraintException"),
            "the bucket is in another region: set AWS_DEFAULT_REGION to it",
        ),
    ],
)
def test_a_list_that_is_denied(
    bucket: Bucket, s3: FakeS3, fault: Fault, explanation: str
) -> None:
    """The message says what to do."""
    s3.fail("ListObjectsV2", fault, fault)

    assert explanation in bucket.explain("backup/")


def test_no_credentials(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent without them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    find_client.cache_clear()

    assert "there are no AWS credentials" in bucket.explain()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("301 Moved Permanently", "PermanentRedirect", region="eu-west-3"),
        Fault("400 Bad Request", "AuthorizationHeaderMalformed", region="eu-west-3"),
    ],
)
def test_a_bucket_in_another_region_is_followed(
    bucket: Bucket, s3: FakeS3, fault: Fault
) -> None:
    """The following requests are signed for the region of the bucket."""
    bucket.put_archive("2026-04-01")
    s3.fail("ListObjectsV2", fault)

    assert bucket.find("backup/")

    regions = [request.region for request in s3.find("ListObjectsV2")]
    assert regions == ["us-east-1"] + ["eu-west-3"] * (len(regions) - 1)

"""The secret: which fields are valid."""

import json
from typing import Any

import pytest

from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.secret import Credentials, SecretError
from segment_to_hyperline.secret_cache import read_secret
from tests.clock import Clock
from tests.conftest import Secret
from tests.fake_aws import FakeAws, Fault

OLD = "0123456789abcdef"
NEW = "fedcba9876543210"


def endpoint() -> Endpoint:
    """Return the endpoint in the secret."""
    return read_secret(Deadline(5)).endpoint


def credentials() -> Credentials:
    """Return the credentials in the secret."""
    return read_secret(Deadline(5)).credentials


@pytest.mark.parametrize(
    ("shared", "secrets"),
    [
        (OLD, (OLD,)),
        ([NEW, OLD], (NEW, OLD)),
        ("ü" * 16, ("ü" * 16,)),
    ],
)
def test_several_shared_secrets_can_be_valid(
    secret: Secret, shared: Any, secrets: tuple[str, ...]
) -> None:
    """During a rotation, a list has the old and the new one."""
    secret.put(segment_shared_secret=shared, segment_bearer_token=NEW)

    assert credentials() == (secrets, (NEW,), ())


@pytest.mark.parametrize(
    ("bearer", "tokens"), [(None, ()), (NEW, (NEW,)), ([NEW, OLD], (NEW, OLD))]
)
def test_several_bearer_tokens_can_be_valid(
    secret: Secret, bearer: Any, tokens: tuple[str, ...]
) -> None:
    """During a rotation, a list has the old and the new one; a token is optional."""
    secret.put(segment_bearer_token=bearer)

    assert credentials().bearer_tokens == tokens


LIST = json.dumps([NEW, OLD])
SPACE = "begins or ends with a space: remove it"
STRING = "is a list stored as a string: store it as a JSON array"
QUOTES = "is enclosed in quotes: remove them"
SCHEME = (
    "begins with 'Bearer ': remove this word, it belongs only into the header in"
    " Segment"
)


@pytest.mark.parametrize(
    ("value", "meant", "problems"),
    [
        (f" {OLD}", [OLD], [SPACE]),
        (f"{OLD} ", [OLD], [SPACE]),
        ([f"{NEW} ", OLD], [NEW, OLD], [SPACE]),
        (LIST, [NEW, OLD], [STRING]),
        (f" {LIST} ", [NEW, OLD], [SPACE, STRING]),
        (f"['{NEW}', '{OLD}']", [NEW, OLD], [STRING]),
        (f"[{NEW}, {OLD}]", [NEW, OLD], [STRING]),
        (json.dumps([f"Bearer {NEW}", f" {OLD}"]), [NEW, OLD], [STRING, SCHEME]),
        (f'"{OLD}"', [OLD], [QUOTES]),
        (f"'{OLD}'", [OLD], [QUOTES]),
        (f"Bearer {OLD}", [OLD], [SCHEME]),
        (f"bearer  {OLD} ", [OLD], [SPACE, SCHEME]),
        # What is meant can be guessed, or is nothing, so it is not accepted.
        (f"Bearer {OLD[:15]}", [], [SCHEME]),
        (json.dumps(["", "a", 1, NEW]), [NEW], [STRING]),
        (json.dumps([1, 2, 3, 4, 5, 6]), [], []),
        (json.dumps([f"{OLD}\n"]), [OLD], [STRING]),
        (json.dumps([f"{OLD}\n{NEW}"]), [], [STRING]),
        ("[" * 9_999 + "]", ["[" * 9_998], [STRING]),
        ('"' * 16, [], [QUOTES]),
    ],
)
@pytest.mark.parametrize("name", ["segment_shared_secret", "segment_bearer_token"])
def test_a_probable_mistake_is_accepted_as_written_and_as_meant(
    secret: Secret, name: str, value: Any, meant: list[str], problems: list[str]
) -> None:
    """Segment may have either; what is meant comes first, in the order of a list."""
    secret.put(**({"segment_shared_secret": NEW} | {name: value}))

    found = credentials()

    accepted = found.shared_secrets if "shared" in name else found.bearer_tokens
    written = value if isinstance(value, list) else [value]
    assert accepted == tuple(dict.fromkeys([*meant, *written]))
    assert [w.removeprefix(f"the secret's {name} ") for w in found.warnings] == problems


@pytest.mark.parametrize(
    "value",
    [f"[{OLD}", f"{OLD}]", f"'{OLD}", f"{OLD}'", f"{OLD},{NEW}", f"Bearer{OLD}"],
)
@pytest.mark.parametrize("name", ["segment_shared_secret", "segment_bearer_token"])
def test_a_random_string_is_no_mistake_because_of_a_sign(
    secret: Secret, name: str, value: str
) -> None:
    """A part of it, which nobody has chosen, doesn't authenticate a request."""
    secret.put(**({"segment_shared_secret": NEW} | {name: value}))

    found = credentials()

    assert value in found[name == "segment_bearer_token"]
    assert len(found.shared_secrets + found.bearer_tokens) <= 2
    assert found.warnings == ()


@pytest.mark.parametrize(
    "field", ["segment_bearer_tokens", "SegmentBearerToken", "segment-bearer-token"]
)
def test_a_field_with_almost_the_name_of_the_token_leads_to_a_warning(
    secret: Secret, clock: Clock, field: str
) -> None:
    """The token is optional, so that its misspelled name is no error."""
    secret.put(**{field: NEW, "other": NEW})
    assert credentials().warnings == (
        f"the secret has a field {field!r}: rename it to segment_bearer_token",
    )

    secret.put(segment_bearer_token=OLD)
    clock.wait(10)
    assert credentials().warnings == ()


@pytest.mark.parametrize("value", ["", [], [""], [OLD, ""], 1, [None], {}])
def test_an_empty_shared_secret_is_rejected(secret: Secret, value: Any) -> None:
    """Anybody can sign with an empty secret."""
    secret.put(segment_shared_secret=value)

    with pytest.raises(SecretError, match="has no segment_shared_secret"):
        credentials()


@pytest.mark.parametrize("value", ["a", " ", " " * 16, "…", f"{OLD[:15]} ", [NEW, "a"]])
@pytest.mark.parametrize("name", ["segment_shared_secret", "segment_bearer_token"])
def test_a_short_secret_is_rejected(secret: Secret, name: str, value: Any) -> None:
    """It can be guessed, and whoever guesses it can send events that are billed."""
    secret.put(**{name: value})

    with pytest.raises(SecretError, match=f"{name} is shorter than 16") as error:
        credentials()

    assert "openssl rand -hex 32" in str(error.value)


@pytest.mark.parametrize("value", ["\0" * 16, f"{OLD}\n", f"{OLD}\0", [OLD, "\t" * 16]])
@pytest.mark.parametrize("name", ["segment_shared_secret", "segment_bearer_token"])
def test_a_control_character_is_rejected(secret: Secret, name: str, value: Any) -> None:
    """HMAC ignores NUL characters at the end of a key; a line break is a mistake."""
    secret.put(**{name: value})

    with pytest.raises(SecretError, match=f"{name} contains a control character"):
        credentials()


@pytest.mark.parametrize("value", ["", 1, [], [""], [OLD, 1], f"{OLD}ü"])
def test_a_token_that_no_header_can_contain_is_rejected(
    secret: Secret, value: Any
) -> None:
    """An empty token would authenticate every request, and the others none."""
    secret.put(segment_bearer_token=value)

    with pytest.raises(SecretError, match="segment_bearer_token"):
        credentials()


@pytest.mark.parametrize("value", ["", 1, "prod_\n", "prod_ü"])
def test_a_key_that_no_header_can_contain_is_rejected(
    secret: Secret, value: Any
) -> None:
    """The reason names the field, and doesn't quote the key."""
    secret.put(hyperline_api_key=value)

    with pytest.raises(SecretError, match="hyperline_api_key") as error:
        endpoint()

    assert "prod_" not in str(error.value)


COMMA = "Illegal trailing comma before end of object"
UNQUOTED = "Expecting property name enclosed in double quotes"
TWICE = (
    "is a JSON string and not an object, perhaps because it was encoded as JSON twice:"
    " store the object itself"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rubbish", "is not JSON: Expecting value (line 1, column 1)"),
        ("[" * 9_999, "is not JSON"),
        ("[]", "is not a JSON object"),
        (
            '{\n"rubbish": "",\n}',
            f"is not JSON: {COMMA} (line 2, column 14)",
        ),
        (
            "{'rubbish': ''}",
            f"is not JSON: {UNQUOTED} (line 1, column 2)",
        ),
        (
            '\ufeff{"rubbish": ""}',
            "begins with a byte order mark: store it without one",
        ),
        (
            '"{\\"rubbish\\": 1}"',
            TWICE,
        ),
    ],
)
def test_a_secret_in_another_format_is_rejected(
    secret: Secret, text: str, reason: str
) -> None:
    """The reason says what is wrong, and doesn't quote the secret."""
    secret.write(text)

    with pytest.raises(SecretError) as error:
        endpoint()

    assert str(error.value) == f"the secret {reason}"
    assert "rubbish" not in str(error.value)


def test_a_binary_secret_is_rejected(secret: Secret) -> None:
    """The reason says what to do."""
    secret.write_binary(b"{}")

    with pytest.raises(SecretError) as error:
        endpoint()

    assert str(error.value) == ("the secret is binary: store it as text (SecretString)")


def test_a_response_without_a_secret_is_rejected(aws: FakeAws, secret: Secret) -> None:
    """It is not one of Secrets Manager."""
    assert secret
    aws.fail("GetSecretValue", Fault("200 OK", b"{}"))

    with pytest.raises(SecretError, match="the secret is not JSON"):
        endpoint()

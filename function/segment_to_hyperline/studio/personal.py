"""Replace the personal fields of an event, before it is written into a file."""

import re
from collections.abc import Iterator
from typing import Any

# Which names of fields are personal, without case and punctuation, and what replaces
# their strings. Those of Segment's traits and context:
# https://www.twilio.com/docs/segment/connections/spec/identify#traits
# https://www.twilio.com/docs/segment/connections/spec/common#context
_REPLACEMENTS = {
    **dict.fromkeys(("userid", "previousid", "id"), "user-1"),
    **dict.fromkeys(("anonymousid", "anonymous"), "anonymous-1"),
    **dict.fromkeys(("groupid", "accountid", "companyid"), "group-1"),
    **dict.fromkeys(("email", "emailaddress", "mail"), "person@example.com"),
    **dict.fromkeys(("phone", "phonenumber", "mobile"), "+1-202-555-0100"),
    **dict.fromkeys(("ip", "ipaddress"), "192.0.2.1"),
    **dict.fromkeys(("url", "referrer", "website", "avatar"), "https://example.com/"),
    **dict.fromkeys(("name", "firstname", "lastname", "fullname"), "Example"),
    **dict.fromkeys(("username", "title", "description", "gender"), "example"),
    **dict.fromkeys(("birthday", "birthdate", "dateofbirth"), "2000-01-01"),
    **dict.fromkeys(("address", "street", "city", "postalcode", "zip"), "Example"),
    **dict.fromkeys(("useragent", "advertisingid", "deviceid", "token"), "example"),
    **dict.fromkeys(("latitude", "longitude", "search", "password"), "0"),
}
# These names are personal in some objects only, as in `context.traits.name`.
_ONLY_BELOW = {"id", "name", "title", "description"}
_PEOPLE = ("traits", "device", "user", "customer", "company")
_EMAIL = re.compile(r"[^\s@\"'<>,;]+@[^\s@\"'<>,;]+\.[^\s@\"'<>,;]+")


def replace_personal(event: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return *event* with its personal fields replaced, and the paths of these.

    An id has the same replacement wherever it occurs, so that expressions that compare
    fields have the same result.
    """
    ids = {
        event[name]: _REPLACEMENTS[_fold(name)]
        for name in ("anonymousId", "userId", "previousId")
        if isinstance(event.get(name), str) and event[name]
    }
    paths: list[str] = []
    replaced = {
        name: _replace(value, (name,), ids, paths) for name, value in event.items()
    }
    return replaced, paths


def _replace(
    value: Any, path: tuple[str, ...], ids: dict[str, str], paths: list[str]
) -> Any:
    match value:
        case dict():
            return {
                name: _replace(inner, (*path, name), ids, paths)
                for name, inner in value.items()
            }
        case list():
            return [_replace(inner, path, ids, paths) for inner in value]
        case str() | int() | float() if not isinstance(value, bool):
            for replacement in _find_replacement(value, path, ids):
                if replacement != value:
                    paths.append(".".join(path))
                return replacement
    return value


def _find_replacement(
    value: str | float, path: tuple[str, ...], ids: dict[str, str]
) -> Iterator[str | float]:
    """Yield what replaces *value* if it is personal."""
    if value == "":
        return
    names = list(map(_fold, path))
    if isinstance(value, str) and value in ids:
        yield ids[value]
    is_below = any(name in _PEOPLE for name in names[:-1])
    for name in reversed(names):
        if name in _REPLACEMENTS and (name not in _ONLY_BELOW or is_below):
            yield _REPLACEMENTS[name] if isinstance(value, str) else 0
    if isinstance(value, str) and _EMAIL.search(value):
        yield _EMAIL.sub("person@example.com", value)


def _fold(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())

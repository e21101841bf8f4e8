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
    **dict.fromkeys(("middlename", "surname", "familyname", "givenname"), "Example"),
    **dict.fromkeys(("displayname", "nickname"), "Example"),
    **dict.fromkeys(("username", "title", "description", "gender"), "example"),
    **dict.fromkeys(("birthday", "birthdate", "dateofbirth"), "2000-01-01"),
    **dict.fromkeys(("address", "street", "city", "postalcode", "zip"), "Example"),
    **dict.fromkeys(("useragent", "advertisingid", "deviceid", "token"), "example"),
    **dict.fromkeys(("latitude", "longitude", "search", "password"), "0"),
}
# These names are personal in some objects only, as in `context.traits.name`, or after
# whose they are, as in `customer_name`.
_ONLY_BELOW = {"id", "name", "title", "description"}
_PEOPLE = ("traits", "device", "user", "customer", "company", "page")
_WHOSE = re.compile(
    "^(user|customer|client|owner|member|contact|recipient|sender|author|billing"
    "|shipping|account|company|organization|org|workspace|team|tenant)(?=.)"
)
# A shorter id can be a part of a text by chance.
_MIN_PART = 4
_EMAIL = re.compile(r"[^\s@\"'<>,;]+@[^\s@\"'<>,;]+\.[^\s@\"'<>,;]+")


def replace_personal(event: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return *event* with its personal fields replaced, and the paths of these.

    An id has the same replacement wherever it occurs, also in a path, so that
    expressions that compare fields have the same result.
    """
    context = event.get("context")
    group = context.get("groupId") if isinstance(context, dict) else None
    found: dict[str, Any] = {"groupId": group} | event
    ids = {
        found[name]: _REPLACEMENTS[_fold(name)]
        for name in ("groupId", "anonymousId", "userId", "previousId")
        if isinstance(found.get(name), str) and found[name]
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
        elif (of_person := _WHOSE.sub("", name)) != name and of_person in _REPLACEMENTS:
            yield _REPLACEMENTS[of_person] if isinstance(value, str) else 0
    if isinstance(value, str):
        yield _replace_parts(value, ids)


def _replace_parts(text: str, ids: dict[str, str]) -> str:
    """Return *text*, such as a path, without email addresses and without *ids*."""
    for personal, replacement in ids.items():
        if len(personal) >= _MIN_PART:
            part = rf"(?<!\w){re.escape(personal)}(?!\w)"
            text = re.sub(part, replacement, text)
    return _EMAIL.sub("person@example.com", text)


def _fold(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())

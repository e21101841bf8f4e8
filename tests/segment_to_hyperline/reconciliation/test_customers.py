"""Customers are read from the core API, or inferred from the events."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.fake_api import FakeResponse
from local_stack.fake_core_api import FakeCoreApi
from segment_to_hyperline.reconciliation.api.customers import (
    Customers,
    find_customers,
    infer,
)
from segment_to_hyperline.reconciliation.api.failures import AccessError, Forbidden
from tests.segment_to_hyperline.reconciliation.helpers import Clock, create_client


def add(api: FakeCoreApi, number: int) -> None:
    """Add customers, some of which have no id of the owner's."""
    for position in range(number):
        name = None if position % 50 == 49 else f"customer-{position}"
        api.add_customer(f"cus_{position}", name)


def find(api: FakeCoreApi, *wanted: str) -> Customers:
    """Return the customers that the core API has."""
    return find_customers(create_client(api), wanted)


def test_all_customers_are_read_once_if_that_is_cheaper(core_api: FakeCoreApi) -> None:
    """A page has 100 customers, and there is no limit to the pages."""
    add(core_api, 12_345)
    wanted = [f"customer-{position}" for position in range(0, 12_000, 7)]

    customers = find(core_api, *wanted, "unknown")

    assert customers.find_id("customer-7") == "cus_7"
    assert customers.find_id("customer-12300") == "cus_12300"
    assert customers.find_id("unknown") is None
    assert customers.inferred == set()
    assert len(core_api.reads) == 1 + 124


def test_a_few_customers_are_looked_up_by_name(core_api: FakeCoreApi) -> None:
    """Each with one request, after that for the number of all customers."""
    add(core_api, 12_345)

    customers = find(core_api, "customer-7", "unknown", "customer-7", "cus_8", "")

    assert customers.ids == {"customer-7": "cus_7"}
    assert customers.find_id("cus_8") == "cus_8"
    assert len(core_api.reads) == 3


def test_all_customers_can_be_read(core_api: FakeCoreApi) -> None:
    """With the invoicing entities of those whose ids of Hyperline are sent."""
    core_api.add_entity("ent_1")
    core_api.add_customer("cus_1", None, invoicing_entity_id="ent_1")

    customers = find_customers(create_client(core_api), ["cus_1"], read_all=True)

    assert customers.entities == {"cus_1": "ent_1"}


def test_no_request_is_needed_for_ids_of_hyperline(core_api: FakeCoreApi) -> None:
    """An event can have either."""
    assert find(core_api, "cus_1", "cus_2").ids == {}
    assert core_api.reads == []


def test_an_ignored_filter_is_no_answer(core_api: FakeCoreApi, clock: Clock) -> None:
    """Hyperline ignores parameters that it doesn't know, and returns all customers.

    Then all are read; nothing is retried.
    """
    began = clock.now
    add(core_api, 1_000)
    core_api.ignores_filters = True

    customers = find(core_api, "customer-7", "customer-8", "unknown")

    assert customers.find_id("customer-7") == "cus_7"
    assert customers.find_id("customer-8") == "cus_8"
    assert customers.find_id("unknown") is None
    assert len(core_api.reads) == 1 + 1 + 10
    assert clock.now - began < 1


def test_an_ignored_cursor_is_an_error_and_not_endless(
    core_api: FakeCoreApi, clock: Clock
) -> None:
    """The first page would come again and again."""
    began = clock.now
    content = b'{"data": [{"id": "cus_1", "external_id": "a"}], "next_cursor": "x"}'
    core_api.outage = FakeResponse(200, content)

    with pytest.raises(AccessError, match="other rows than those that were asked for"):
        find(core_api, *map(str, range(1_000)))

    assert clock.now - began < 10


def test_a_total_that_is_not_there_is_not_needed(core_api: FakeCoreApi) -> None:
    """Then many customers are assumed."""
    add(core_api, 10)
    core_api.respond(FakeResponse(200, b'{"data": [], "next_cursor": null}'))

    assert find(core_api, "customer-7").ids == {"customer-7": "cus_7"}
    assert len(core_api.reads) == 2


def test_a_deleted_customer_has_a_successor(core_api: FakeCoreApi) -> None:
    """With the same id of the owner's."""
    deleted = {"deleted_at": "2026-01-01T00:00:00Z"}
    core_api.add_customer("cus_old", "a", **deleted)
    core_api.add_customer("cus_new", "a")
    core_api.add_customer("cus_former", "b", **deleted)
    core_api.add_customer("cus_b", "b")
    core_api.add_customer("cus_former_2", "b", **deleted)
    core_api.add_customer("cus_c", "c", **deleted)

    customers = find(core_api, "a", "b", "c")

    assert customers.ids == {"a": "cus_new", "b": "cus_b", "c": "cus_c"}


def test_a_key_that_may_not_read_customers_is_told_apart(core_api: FakeCoreApi) -> None:
    """So the caller can infer them; it takes one request."""
    core_api.forbidden.add("/v2/customers")

    with pytest.raises(Forbidden, match=r"no permission \(403\) to read customers"):
        find(core_api, "customer-1")

    assert len(core_api.reads) == 1


@pytest.mark.parametrize(
    "content", [b"[]", b'{"data": [{}]}', b'{"data": ["x"]}', b'{"data": {}}']
)
def test_another_response_is_no_list_of_customers(
    core_api: FakeCoreApi, clock: Clock, content: bytes
) -> None:
    """The host is another one then."""
    assert clock.now
    core_api.outage = FakeResponse(200, content)

    with pytest.raises(AccessError, match="isn't as documented"):
        find(core_api, "customer-1")


KNOWN = Customers({"a": "cus_a", "b": "cus_b"})


@pytest.mark.parametrize(
    ("name", "found", "problem"),
    [
        ("a", "cus_a", None),
        ("a", "cus_b", ["cus_a", "cus_b"]),
        ("a", "cus_x", ["cus_a", "cus_x"]),
        ("a", None, ["cus_a", None]),
        ("cus_x", "cus_x", None),
        ("cus_x", "cus_b", ["cus_x", "cus_b"]),
        ("unknown", "cus_x", None),
        ("unknown", "cus_a", ["unknown", "cus_a"]),
        ("unknown", None, ["unknown", None]),
    ],
)
def test_a_wrong_customer_is_a_problem(
    name: str, found: str | None, problem: list[str | None] | None
) -> None:
    """An unknown customer's event must not be under a known other one."""
    assert KNOWN.find_problem(name, found) == problem


def test_a_customer_has_the_name_of_the_owner() -> None:
    """If it is known."""
    assert KNOWN.find_name("cus_a") == "a"
    assert KNOWN.find_name("cus_x") == "cus_x"


def find_wrong(
    pairs: Iterable[tuple[str, str, int]], known: Customers
) -> set[tuple[str, str]]:
    """Return the pairs that are wrong."""
    return {pair[:2] for pair in pairs if known.find_problem(*pair[:2])}


def test_customers_are_inferred_from_most_of_their_events() -> None:
    """The others are wrong; it is stated which ones are inferred."""
    pairs = [
        ("c", "cus_c", 5),
        ("c", "cus_d", 3),
        ("d", "cus_d", 10),
        ("a", "cus_a", 1),
    ]

    customers = infer(pairs, KNOWN)

    assert customers.find_id("c") == "cus_c"
    assert customers.inferred == {"c", "d"}
    assert find_wrong(pairs, customers) == {("c", "cus_d")}


def test_the_only_event_of_a_customer_under_another_one_is_found() -> None:
    """Whether the other one is known or inferred, and however often it is there."""
    pairs = [("c", "cus_d", 1), ("d", "cus_d", 2), ("e", "cus_a", 9)]

    assert find_wrong(pairs, infer(pairs, KNOWN)) == {("c", "cus_d"), ("e", "cus_a")}


def test_an_id_of_hyperline_can_be_used_besides_a_name() -> None:
    """Both are the same customer then, so nothing is wrong."""
    pairs = [("c", "cus_c", 5), ("cus_c", "cus_c", 9)]

    assert find_wrong(pairs, infer(pairs, KNOWN)) == set()


NAMES = [f"customer-{number}" for number in range(6)]


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.integers(1, 5)), unique_by=lambda p: p[0]
    )
)
def test_right_customers_are_never_wrong(counts: list[tuple[str, int]]) -> None:
    """Whatever the numbers of their events are."""
    pairs = [(name, f"cus_{name}", number) for name, number in counts]

    customers = infer(pairs, Customers({}))

    assert customers.ids == {name: found for name, found, _ in pairs}
    assert find_wrong(pairs, customers) == set()


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), st.integers(1, 9)
    )
)
def test_inferred_customers_are_one_to_one(found: dict[tuple[str, str], int]) -> None:
    """Each event is under its customer, or wrong; the order doesn't matter."""
    pairs = [(name, f"cus_{other}", number) for (name, other), number in found.items()]

    customers = infer(pairs, KNOWN)

    assert customers.ids == infer(reversed(pairs), KNOWN).ids
    assert len(set(customers.ids.values())) == len(customers.ids)
    for name, cus, _ in pairs:
        is_own = customers.find_id(name) == cus
        assert is_own != ((name, cus) in find_wrong(pairs, customers))

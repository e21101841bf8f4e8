"""The risks of a change, and what is shown of very many."""

from segment_to_hyperline.preview.risks import Risk, Risks


def find(risks: Risks) -> Risk:
    """Return the only risk."""
    (risk,) = risks.list()
    return risk


def test_every_event_is_counted() -> None:
    """Beyond 1,000 changes as others, and also for a change that is known."""
    risks = Risks()
    for number in range(1_003):
        risks.add("lost", f"type {number}", "m")
    risks.add("lost", "type 7", "m-7")

    risk = find(risks)

    assert risk.title == "1,004 events would no longer be billed"
    assert [(c.what, c.number) for c in risk.changes[:3]] == [
        ("(others)", 3),
        ("type 7", 2),
        ("type 0", 1),
    ]
    rows = risk.rows()
    assert (len(rows), rows[-1]) == (41, ("", "and 961 more", ""))


def test_names_are_printable() -> None:
    """They come from customers, and a terminal would obey their control characters."""
    risks = Risks()
    risks.add("moved", "Seats\x1b[2J", "m\x1b[2J")

    assert find(risks).rows() == [("1", r'"Seats\u001b[2J"', r'"m\u001b[2J"')]

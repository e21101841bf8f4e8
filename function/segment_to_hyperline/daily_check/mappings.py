"""Store the mapping that was deployed, and read those that a day needs."""

import hashlib
from typing import NamedTuple

from segment_to_hyperline import defaults
from segment_to_hyperline.daily_check.bucket import ReportBucket
from segment_to_hyperline.daily_check.deployed_mappings import StoredMapping, choose
from segment_to_hyperline.reconciliation.api.rows import format_milliseconds
from segment_to_hyperline.reconciliation.expected.mappings import DatedMapping
from segment_to_hyperline.reconciliation.header import MappingVersion

_FILE = "mapping.toml"


class UsedMapping(NamedTuple):
    """A mapping, and which version it is."""

    mapping: DatedMapping
    version: MappingVersion


def store_mapping(bucket: ReportBucket, now: float) -> bool:
    """Store this version's mapping as deployed *now*, unless it is the newest one.

    Return whether it was stored.
    """
    content = _read_own()
    mapping = StoredMapping.create(content, now)
    stored = bucket.list_mappings()
    if stored and stored[-1].digest == mapping.digest:
        return False
    bucket.put(mapping.key, content)
    return True


def read_mappings(bucket: ReportBucket, received_from: int) -> list[UsedMapping]:
    """Return the mappings of events that were received since *received_from*.

    At least one must be stored.
    """
    used: list[UsedMapping] = []
    for stored in choose(bucket.list_mappings(), received_from):
        mapping = DatedMapping(stored.since, bucket.read(stored.key), stored.key)
        deployed = format_milliseconds(stored.since)
        used.append(
            _describe(mapping, f"deployed {deployed}", deployed if used else "")
        )
    return used


def _describe(mapping: DatedMapping, origin: str, since: str) -> UsedMapping:
    digest = hashlib.sha256(mapping.content).hexdigest()
    return UsedMapping(mapping, MappingVersion(mapping.name, digest, origin, since))


def _read_own() -> bytes:
    return defaults.find(_FILE).read_bytes()

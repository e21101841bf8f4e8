"""Run the experiments, each after a confirmation."""

from collections.abc import Callable
from typing import NamedTuple

from segment_to_hyperline.doctor.probe.access import ACCESS, LARGEST_BODY, PATHS
from segment_to_hyperline.doctor.probe.batches import BATCHES
from segment_to_hyperline.doctor.probe.customers import UNKNOWN_CUSTOMER
from segment_to_hyperline.doctor.probe.experiment import Experiment
from segment_to_hyperline.doctor.probe.reading import READING
from segment_to_hyperline.doctor.probe.repeats import REPEATS
from segment_to_hyperline.doctor.probe.sandbox import Sandbox, Undecided
from segment_to_hyperline.doctor.probe.values import NUMBERS, VALUES
from segment_to_hyperline.hyperline.assumptions import ASSUMPTIONS, Assumption
from segment_to_hyperline.reconciliation.api.failures import HyperlineUnavailable

NOT_TRIED = "not tried"
UNKNOWN = "unknown"
# The first one finds the path for the others, and the second one how long they wait.
EXPERIMENTS = (
    *(PATHS, *READING, *ACCESS, UNKNOWN_CUSTOMER),
    *(*BATCHES, *REPEATS, *VALUES, *NUMBERS, LARGEST_BODY),
)
_ASSUMPTIONS = {assumption.name: assumption for assumption in ASSUMPTIONS}


class Finding(NamedTuple):
    """What an experiment has found."""

    assumption: Assumption
    found: str
    """An answer, `NOT_TRIED` or `UNKNOWN`."""
    reason: str = ""
    """Why there is no answer."""

    @property
    def meaning(self) -> str:
        """What the answer means for this version; nothing if it works as it is."""
        return self.assumption.answers.get(self.found, "")

    @property
    def works(self) -> bool:
        """Whether this version works as it is, or nobody wanted to know."""
        return self.found != UNKNOWN and not self.meaning


def run(sandbox: Sandbox, confirm: Callable[[str], bool]) -> list[Finding]:
    """Return what each experiment has found; in the end, everything is deleted.

    *confirm* is asked before anything is sent, with what the experiment does. Raises
    `AccessError` if the host or the key can't be used. `Sandbox.stays` has what could
    not be deleted.
    """
    try:
        return [_try(experiment, sandbox, confirm) for experiment in EXPERIMENTS]
    finally:
        sandbox.finish()


def _try(
    experiment: Experiment, sandbox: Sandbox, confirm: Callable[[str], bool]
) -> Finding:
    assumption = _ASSUMPTIONS[experiment.name]
    if obstacle := experiment.find_obstacle(sandbox):
        return Finding(assumption, NOT_TRIED, obstacle)
    writes = experiment.describe_writes()
    if not confirm(f"{assumption.name}: {assumption.question} {writes} Try it?"):
        return Finding(assumption, NOT_TRIED, "declined")
    try:
        sandbox.check()
        if experiment.needs_customer:
            sandbox.check_customer()
        return Finding(assumption, experiment.find(sandbox))
    except (Undecided, HyperlineUnavailable) as error:
        return Finding(assumption, UNKNOWN, str(error))
    finally:
        sandbox.clean()

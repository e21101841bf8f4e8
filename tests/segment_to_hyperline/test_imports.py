"""Imports point one way, and show which modules depend on more than their arguments."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import segment_to_hyperline

PACKAGE = Path(segment_to_hyperline.__file__).parent
NAME = PACKAGE.name

STANDARD = sys.stdlib_module_names

# What each layer may import: other layers, and libraries. A layer is a package, or
#   leaf         modules that import nothing but each other
#   application  the other modules beside the packages
#   entry        the handlers in function/, and __main__.py
LEAVES = {"attributes", "batching", "deadline", "elements", "errors", "reasons", "text"}
LAYERS = {
    "leaf": (),
    "segment": ("leaf",),
    "hyperline": ("leaf", "requests", "urllib3", "certifi"),
    "aws": ("leaf", "botocore", "mypy_boto3_secretsmanager", "mypy_boto3_sqs"),
    "mapping": ("leaf", "segment", "hyperline", "jmespath", "aws_lambda_powertools"),
    "application": (
        *("leaf", "segment", "hyperline", "aws", "mapping"),
        "aws_lambda_powertools",
    ),
    "archive": (
        *("leaf", "segment", "aws.messages"),
        *("boto3", "botocore", "urllib3"),
    ),
    "preview": ("leaf", "segment", "hyperline", "mapping", "archive", "jmespath"),
    "mapping_tests": (
        *("leaf", "hyperline", "mapping", "application", "archive", "preview"),
    ),
    "reconciliation": (
        *("leaf", "segment", "hyperline", "mapping", "archive", "preview"),
        *("requests", "urllib3"),
    ),
    "studio": (
        *("leaf", "application", "mapping", "archive", "preview", "mapping_tests"),
    ),
    "closing": (
        *("leaf", "hyperline", "mapping", "archive", "preview", "reconciliation"),
    ),
    "installed": ("hyperline", "archive"),
    "sending": ("leaf", "segment", "application", "reconciliation"),
    "doctor": (
        *("leaf", "segment", "hyperline", "mapping", "application", "archive"),
        *("preview", "reconciliation", "closing", "installed", "sending"),
        *("botocore", "jmespath", "requests"),
    ),
    "quarantine": (
        *("leaf", "hyperline", "aws.messages", "mapping", "archive", "preview"),
        *("reconciliation", "closing", "installed", "botocore"),
    ),
    "simulation": (
        *("leaf", "segment", "hyperline", "aws.messages", "application"),
        *("matplotlib", "yaml"),
    ),
    "daily_check": (
        *("leaf", "segment", "hyperline", "application", "archive"),
        *("reconciliation", "requests"),
    ),
    "cli": (
        *("leaf", "segment", "hyperline", "mapping", "application"),
        *("archive", "preview", "reconciliation", "closing", "simulation"),
        *("installed", "sending", "doctor", "quarantine", "mapping_tests", "studio"),
        *("click", "rich", "botocore"),
    ),
    "entry": (
        *("leaf", "segment", "aws.messages", "mapping"),
        *("application", "archive", "daily_check", "cli"),
        *("boto3", "aws_lambda_powertools"),
    ),
}
# Who may use what isn't the same at each run. Every other module is pure.
WORLD = {
    "network": {
        "boto3",
        "botocore",
        "http.client",
        "requests",
        "socket",
        "ssl",
        "urllib3",
    },
    "environment": {"os.environ", "os.getenv"},
    "clock": {"time", "datetime.now", "datetime.today", "date.today"},
    "chance": {"random", "secrets", "uuid"},
}
USERS = {
    "network": {
        *("aws.clients", "hyperline.client", "hyperline.session"),
        *("daily_check.deployment", "entry.smoke_tester"),
        *("archive.aws_access", "archive.s3_listing", "archive.s3_objects"),
        *("reconciliation.api.client", "reconciliation.api.failures", "cli.backfill"),
        *("doctor.aws", "doctor.stack", "doctor.probe.poster", "doctor.send.log"),
        "quarantine.aws",
    },
    "environment": {
        *("config", "archive.aws_access", "reconciliation.api.client"),
        *("cli.api_key", "cli.backfill", "cli.init", "cli.mappings"),
        *("doctor.hyperline", "doctor.installation"),
    },
    "clock": {
        *("deadline", "hyperline.client", "pipeline", "replay", "storage"),
        *("secret", "secret_cache", "telemetry", "replay_queue"),
        *(
            "entry.daily_check",
            "entry.replayer",
            "daily_check.check",
            "daily_check.deployment",
        ),
        *(
            "archive.s3_objects",
            "reconciliation.api.client",
            "reconciliation.api.failures",
        ),
        *("reconciliation.api.pace", "cli.backfill", "cli.inputs", "cli.progress"),
        *("cli.doctor_send", "cli.doctor_probe"),
        *("doctor.probe.cleanup", "doctor.probe.sandbox"),
        "quarantine.outcomes",
    },
    "chance": {
        "doctor.probe.sandbox",
        "hyperline.client",
        "replay",
        "entry.smoke_tester",
        "simulation.isolation",
        "cli.doctor_send",
        "cli.init",
        "studio.server",
    },
}
# What is built of pure modules only. A retry must bill the same as the first attempt,
# and the simulation and the preview must decide as the deployed function does.
PURE = (
    *("segment.", "mapping.", "mapping_tests.", "preview.", "aws.messages"),
    *("archive.blocks", "archive.captured", "archive.decoding", "archive.files"),
    *("archive.hashing", "archive.received_days", "archive.scanner"),
    *(
        "hyperline.assumptions",
        "hyperline.batch_size",
        "hyperline.billable_event",
        "hyperline.breaker",
    ),
    *("hyperline.facts", "hyperline.failures", "hyperline.host", "hyperline.posts"),
    *("hyperline.plan", "hyperline.responses"),
    "hyperline.url",
    *("attributes", "batching", "credential_forms", "elements", "errors", "text"),
    *("daily_check.day", "daily_check.deployed_mappings"),
    *("doctor.send.answers", "doctor.send.creation"),
    *("doctor.send.needs", "doctor.send.preparation", "doctor.send.replies"),
    "doctor.send.steps",
    *("backoff", "event_tester", "outcomes", "reasons", "report", "results"),
    *("doctor.examples", "doctor.findings", "doctor.rule_facts", "unfinished"),
    *("quarantine.waiting", "quarantine.selection", "quarantine.edits"),
    *("quarantine.groups", "quarantine.terms"),
    *("sending.local", "sending.responses", "sending.webhook"),
)


def read_modules() -> dict[str, ast.Module]:
    """Return the parsed modules by their names in the package."""
    return {
        _name(path): ast.parse(path.read_text("utf-8"))
        for folder, pattern in ((PACKAGE, "**/*.py"), (PACKAGE.parent, "*.py"))
        for path in sorted(folder.glob(pattern))
    }


def _name(path: Path) -> str:
    if not path.is_relative_to(PACKAGE):
        return f"entry.{path.stem}"
    name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULE_TREES = read_modules()


def find_imports(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports: modules of the package by their names in it."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                for alias in names:
                    inner = f"{module}.{alias.name}".removeprefix(f"{NAME}.")
                    is_module = module.startswith(NAME) and inner in MODULE_TREES
                    if is_module:
                        yield inner
                    elif module != NAME:  # whose names, the version, have no imports
                        yield module.removeprefix(f"{NAME}.")
            case ast.Call(ast.Name("import_module"), [ast.Constant(str(module))]):
                yield module.removeprefix(f"{NAME}.")


def find_uses(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports, and what it looks up in a name, as in os.environ."""
    for name in find_imports(tree):
        yield from (name, name.partition(".")[0])
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name(name), attribute):
                yield f"{name}.{attribute}"


IMPORTS = {name: set(find_imports(tree)) for name, tree in MODULE_TREES.items()}


def find_layer(module: str) -> str:
    """Return the layer of a *module* of ours, or the name of a library."""
    first, _, rest = module.partition(".")
    if module in LEAVES:
        return "leaf"
    if rest or module in LAYERS or module not in MODULE_TREES:
        return first
    return "entry" if module == "__main__" else "application"


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_one_way(layer: str) -> None:
    """From the commands to the application, and from there to one vendor each."""
    row = set(LAYERS[layer])
    used = {
        (module, name if name in row else find_layer(name))
        for module in MODULE_TREES
        if find_layer(module) == layer
        for name in IMPORTS[module]
    }
    others = {(module, name) for module, name in used if name not in {layer, *STANDARD}}

    assert {(module, name) for module, name in others if name not in row} == set()
    assert row == {name for _, name in others}


def test_no_module_imports_itself() -> None:
    """Neither directly nor through another one."""
    own = {name: found & MODULE_TREES.keys() for name, found in IMPORTS.items()}

    assert [*TopologicalSorter(own).static_order()]


@pytest.mark.parametrize("world", WORLD)
def test_few_modules_use_the_world(world: str) -> None:
    """Every other module always returns the same for the same arguments."""
    users = {
        module
        for module, tree in MODULE_TREES.items()
        if not WORLD[world].isdisjoint(find_uses(tree))
    }

    assert users == USERS[world]


def test_pure_modules_import_only_pure_ones() -> None:
    """What they decide depends on no network, environment, clock or chance."""
    impure = set().union(*USERS.values())
    pure = [module for module in MODULE_TREES if module.startswith(PURE)]

    assert len(pure) > len(PURE)
    wrong = {module: found & impure for module in pure if (found := reach(module))}
    assert {module: found for module, found in wrong.items() if found} == {}


def reach(module: str) -> set[str]:
    """Return *module*, and those that it imports directly or through others."""
    found, waiting = set(), {module}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= (IMPORTS[name] & MODULE_TREES.keys()) - found
    return found

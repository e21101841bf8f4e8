"""The command segment-to-hyperline: exit statuses, and errors in one line."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.segment_requests import write
from segment_to_hyperline.cli.main import COMMANDS
from tests.samples import track

ROOT = Path(__file__).parents[3]
WIDTH = max(map(len, COMMANDS))
SAMPLE = str(ROOT / "events/sample.ndjson")
COMMAND = [sys.executable, "-m", "segment_to_hyperline"]


def run(*arguments: str, content: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the command with *content* as its standard input."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        input=content,
        capture_output=True,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_is_installed() -> None:
    """`make setup` installs it, and it shows its subcommands and exit statuses."""
    command = Path(sys.executable).with_name("segment-to-hyperline")

    done = subprocess.run([command, "--help"], capture_output=True, check=True)

    shown = " ".join(done.stdout.decode().split())
    for word in ("demo", "local", "preview", "request", "Exit statuses: 0 success;"):
        assert word in shown


def test_uv_runs_the_command_without_changing_the_lock() -> None:
    """`uv run` uses the environment of `make setup`."""
    lock = (ROOT / "uv.lock").read_bytes()

    done = subprocess.run(
        [ROOT / "maintenance/uv", "run", "segment-to-hyperline", "--version"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )

    assert done.stdout.startswith(b"segment-to-hyperline, version ")
    assert (ROOT / "uv.lock").read_bytes() == lock


@pytest.mark.parametrize("subcommand", COMMANDS)
def test_each_subcommand_has_help_with_an_example(subcommand: str) -> None:
    """The help says what the subcommand does, and how to run it."""
    done = run(subcommand, "--help")

    assert done.returncode == 0
    assert f"Example: segment-to-hyperline {subcommand}" in done.stdout


@pytest.mark.parametrize(
    ("subcommand", "statuses"),
    [
        ("backfill", ["0", "1", "2", "3", "70", "130", "141"]),
        ("preview", ["0", "1", "2", "70", "130", "141"]),
        ("simulate", ["0", "2", "70", "130", "141"]),
    ],
)
def test_the_help_lists_the_exit_statuses_that_a_subcommand_has(
    subcommand: str, statuses: list[str]
) -> None:
    """No other status is explained."""
    text = " ".join(run(subcommand, "--help").stdout.split())

    listed = text.partition("Exit statuses: ")[2].split("; ")
    assert [status.partition(" ")[0] for status in listed] == statuses


def test_the_list_of_subcommands_imports_none_of_them() -> None:
    """The help is shown at once."""
    done = run_python(
        "import sys\n"
        "sys.argv[1:] = ['--help']\n"
        "from segment_to_hyperline.cli.main import cli\n"
        "cli(standalone_mode=False)\n"
        "print([name for name in ('rich', 'requests', 'boto3') if name in sys.modules])"
    )

    *shown, imported = done.stdout.splitlines()
    assert imported == "[]"
    for name, lazy in COMMANDS.items():
        assert f"  {name:<{WIDTH}}  {lazy.short_help}" in shown


# Runs the command as it is installed without the folder of the local stack.
WITHOUT_LOCAL_STACK = f"""
import sys
sys.path = [name for name in sys.path if name not in ("", {str(ROOT)!r})]
from segment_to_hyperline.cli.main import main
main()
"""


@pytest.mark.parametrize("name", ["demo", "local", "request"])
def test_without_a_checkout_a_command_says_what_it_needs(name: str) -> None:
    """It is listed, has help, and fails with a line that says what to do."""
    listed = run_python(WITHOUT_LOCAL_STACK, "--help")
    described = run_python(WITHOUT_LOCAL_STACK, name, "--help")
    done = run_python(WITHOUT_LOCAL_STACK, name, "event.json", "--any", "option")

    assert f"  {name:<{WIDTH}}  {COMMANDS[name].short_help}" in listed.stdout
    assert described.returncode == 0
    steps = f"git clone, make setup, and .venv/bin/segment-to-hyperline {name}"
    assert steps in " ".join(described.stdout.split())
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: {name} needs a checkout of the repository")
    assert line.endswith(f": {steps}")


def test_a_plot_says_what_it_needs(tmp_path: Path) -> None:
    """The command is installed without matplotlib."""
    done = run_python(
        "import sys\nsys.modules['matplotlib'] = None\n"
        "from segment_to_hyperline.cli.main import main\nmain()",
        *("simulate", "--rate", "1", "--plot", str(tmp_path / "plot.svg")),
    )

    assert done.returncode == 2
    assert done.stderr == (
        "Error: --plot needs matplotlib: install segment-to-hyperline[plot]\n"
    )


def test_what_is_missing_in_a_checkout_is_not_hidden() -> None:
    """A module that `make setup` would not install is a bug."""
    done = run_python(
        "import sys\nsys.modules['local_stack.aws'] = None\n"
        "from segment_to_hyperline.cli.main import main\nmain()",
        "demo",
        "--help",
    )

    assert "ModuleNotFoundError: import of local_stack.aws halted" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "content", "error"),
    [
        (["preview", "none.ndjson"], b"", "'none.ndjson': No such file or directory"),
        (["preview", "EMPTY"], b"", "The folder has no files"),
        (["preview", "-"], b"", "<stdin>: no events"),
        (["preview", "-"], b" \n\n", "<stdin>: no events"),
        (["preview"], b"", "Missing argument 'EVENTS...'"),
        (["preview", SAMPLE, "--mapping", "tests"], b"", "is a directory"),
        (["preview", SAMPLE, "--wrong"], b"", "No such option"),
        (["request"], b"", "<stdin>: no events"),
        (["request"], b"{", "<stdin>:1: not JSON"),
        (["request"], b"[]", "<stdin>: no events"),
        (["request"], b"\n1", "line 2 is not an event"),
        (["request"], b"[" * 100_000, "<stdin>:1: the file ends inside an array"),
        (["request"], b"\xff\xfe1", "<stdin>:1: "),
        (["request", "events"], b"", "malformed-body.json:1: the body of a request"),
        (["request", "none.json"], b"", "'none.json': No such file or directory"),
        (["nonsense"], b"", "No such command 'nonsense'"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    tmp_path: Path, arguments: list[str], content: bytes, error: str
) -> None:
    """The line says what is wrong, and there is no traceback."""
    arguments = [str(tmp_path) if a == "EMPTY" else a for a in arguments]

    done = run(*arguments, content=content)

    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert error in line


def test_a_failed_check_says_why() -> None:
    """Status 1 comes with a reason on the standard error."""
    done = run("preview", SAMPLE, "--strict")

    assert done.returncode == 1
    assert done.stderr == "Failed: --strict: 1 event would be quarantined.\n"


def test_a_request_can_be_created_from_an_event() -> None:
    """It has the event as its body, and Segment's headers."""
    done = run("request", content=write(track()).encode())

    request = json.loads(done.stdout)
    assert json.loads(request["body"]) == track()
    assert "x-signature" in request["headers"]


@pytest.mark.parametrize("name", ["track", "array", "segment-test-event"])
def test_a_request_can_be_created_from_a_sample(name: str) -> None:
    """A request of API Gateway is unwrapped, and signed again."""
    path = ROOT / f"events/{name}.json"

    done = run("request", str(path))

    assert json.loads(done.stdout) == json.loads(path.read_text("utf-8"))


def test_a_closed_output_ends_the_command_quietly(tmp_path: Path) -> None:
    """`segment-to-hyperline preview … | head -1` prints no error."""
    many = tmp_path / "many.ndjson"
    many.write_text(f"{write(track())}\n" * 20_000, "utf-8")
    process = subprocess.Popen(
        [*COMMAND, "preview", str(many)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()

    assert process.wait(timeout=60) == -signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stderr.close()


def test_ctrl_c_ends_the_command_with_one_line() -> None:
    """The status is the one that shells use for an interrupted command."""
    process = subprocess.Popen(
        [*COMMAND, "preview", "-"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{write(track())}\n".encode() * 200)
    process.stdin.flush()
    process.stdout.readline()

    process.send_signal(signal.SIGINT)

    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == b"Interrupted."


def test_an_error_of_a_command_is_no_result() -> None:
    """Its status differs from that of a failed check, and it shows no data."""
    done = run_python(
        "from segment_to_hyperline.cli import main\n"
        "from segment_to_hyperline.cli.lazy_group import Lazy\n"
        "import sys\n"
        "sys.argv[1:] = ['broken', '--secret']\n"
        "main.COMMANDS['broken'] = Lazy('json.loads', 'A broken command.')\n"
        "main.main()"
    )

    assert done.returncode == 70
    assert "this is an error of the command; please report it" in done.stderr
    assert 'File "' in done.stderr
    assert "has no attribute" not in done.stderr

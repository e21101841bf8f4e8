"""The command `segment-to-hyperline`: its subcommands, and errors in one line."""

import signal
import sys
import traceback

import click

from segment_to_hyperline import __version__
from segment_to_hyperline.cli.lazy_group import Lazy, LazyGroup
from segment_to_hyperline.cli.statuses import (
    BUG,
    CHECK_FAILED,
    INTERRUPTED,
    INVALID,
    format_statuses,
)

COMMANDS = {
    "backfill": Lazy(
        "segment_to_hyperline.cli.backfill.backfill",
        "Bill the events that Hyperline lacks.",
    ),
    "close": Lazy(
        "segment_to_hyperline.cli.close.close",
        "Make the report of a month: sent, stored, counted, invoiced.",
    ),
    "demo": Lazy(
        "local_stack.demo.demo",
        "Show the application at work in a local AWS.",
    ),
    "doctor": Lazy(
        "segment_to_hyperline.cli.doctor.doctor",
        "Check whether an installation is right.",
    ),
    "init": Lazy(
        "segment_to_hyperline.cli.init.init",
        "Create the secret that a stack reads.",
    ),
    "ledger": Lazy(
        "segment_to_hyperline.cli.ledger.ledger",
        "Show what was sent, billed and missing, per day or month.",
    ),
    "local": Lazy(
        "local_stack.local.local",
        "Keep the application running in a local AWS.",
    ),
    "preview": Lazy(
        "segment_to_hyperline.cli.preview.preview",
        "Show what the mapping bills for your events.",
    ),
    "quarantine": Lazy(
        "segment_to_hyperline.cli.quarantine.quarantine",
        "Find out why events wait, fix it, and bill them.",
    ),
    "reconcile": Lazy(
        "segment_to_hyperline.cli.reconcile.reconcile",
        "Compare your events with what Hyperline stored.",
    ),
    "replay": Lazy(
        "segment_to_hyperline.cli.replay.replay",
        "Show what waits to be billed later.",
    ),
    "request": Lazy(
        "local_stack.request.request",
        "Sign an event as Segment does, for sam local invoke.",
    ),
    "send": Lazy(
        "segment_to_hyperline.cli.send.send",
        "Send events as Segment does, and show the responses.",
    ),
    "simulate": Lazy(
        "segment_to_hyperline.cli.simulate.simulate",
        "Show what an outage of Hyperline does to your events.",
    ),
    "studio": Lazy(
        "segment_to_hyperline.cli.studio.studio",
        "Edit the mapping on a page, and see what it bills.",
    ),
    "test": Lazy(
        "segment_to_hyperline.cli.test.test",
        "Run the tests beside the mapping.",
    ),
    "verify": Lazy(
        "segment_to_hyperline.cli.verify.verify",
        "Make the report of a month again, and compare it.",
    ),
}


@click.group(
    cls=LazyGroup,
    lazy_commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=format_statuses(
        {CHECK_FAILED: "the check failed, as the command describes"}
    ),
)
@click.version_option(__version__, prog_name="segment-to-hyperline")
def cli() -> None:
    """Preview, run, check, reconcile and repair segment-to-hyperline."""


def main() -> None:
    """Run the command; every error is one line on the standard error."""
    # End quietly when the output is closed, as `head` does.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(INVALID)
    except click.ClickException as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        sys.exit(error.exit_code if isinstance(error, click.FileError) else INVALID)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        click.echo(f"Error: {error.filename or error}: {error.strerror}", err=True)
        sys.exit(INVALID)
    except Exception as error:  # noqa: BLE001 - otherwise the status is CHECK_FAILED
        click.echo("".join(traceback.format_tb(error.__traceback__)), err=True)
        click.echo(f"Error: {_describe(error)}", err=True)
        sys.exit(BUG)


def _describe(error: Exception) -> str:
    """Return what an unexpected *error* is; its text can have data of events."""
    name = type(error).__name__
    text = f"{name}: {error}" if isinstance(error, ImportError) else name
    return (
        f"{text}: this is an error of the command; please report it with the lines"
        " above"
    )


if __name__ == "__main__":
    main()

"""The blocks of a page, run one after the other in one shell, in an empty home."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from local_stack.aws import ROOT

# What a person who follows a page for the first time doesn't have.
_UNWANTED = ("AWS_", "GIT_", "HYPERLINE_", "SEGMENT_", "VIRTUAL_ENV", "XDG_")


class Followed(NamedTuple):
    """What came of a block."""

    status: int
    printed: str
    failed: list[str]
    """The commands that failed, each with its status."""

    @property
    def has_succeeded(self) -> bool:
        """Whether no command failed, also none before `&&`."""
        return self.status == 0 and not self.failed


class Person:
    """A bash in an empty home, which keeps its folder and variables between blocks."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self._files = folder / "blocks"
        self._files.mkdir()
        self._number = 0
        path = os.environ["PATH"].split(os.pathsep)
        found = {
            "HOME": str(self.home),
            "PATH": os.pathsep.join(p for p in path if not p.startswith(str(ROOT))),
        }
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=self.home,
            env=_clean() | found | dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.close()
        self._shell.wait(timeout=60)
        self._shell.stdout.close()

    def run(self, block: str, typed: str = "") -> Followed:
        """Run *block*; *typed* is what the person types when a command asks."""
        self._number += 1
        path = self._files / str(self._number)
        path.write_text(block, "utf-8")
        stdin, output, failed = (path.with_suffix(s) for s in (".in", ".out", ".err"))
        stdin.write_text(typed, "utf-8")
        failed.touch()
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(
            f"""trap 'echo "$?: $BASH_COMMAND" >> {failed}' ERR\n"""
            f". {path} < {stdin} > {output} 2>&1; echo $?\n"
        )
        self._shell.stdin.flush()
        status = int(self._shell.stdout.readline())
        return Followed(
            status, output.read_text("utf-8"), failed.read_text("utf-8").splitlines()
        )


def _clean() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(_UNWANTED)}


def publish(folder: Path, url: str, changed: Mapping[str, str]) -> str:
    """Make a repository of this checkout; return git's settings to clone it as *url*.

    It has the checkout's files as they are now, except for those that are *changed*,
    and a link to the checkout's environment, so that `make setup` has nothing to do.
    """
    repository = folder / "published.git"
    git = shutil.which("git")
    assert git
    environment = _clean() | {
        f"GIT_{who}_{what}": "developer@example.com"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }

    def run(*arguments: str, text: str = "") -> str:
        done = subprocess.run(
            [git, f"--git-dir={repository}", f"--work-tree={ROOT}", *arguments],
            cwd=ROOT,
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def store(mode: str, name: str, text: str) -> None:
        content = run("hash-object", "-w", "--stdin", text=text)
        run("update-index", "--add", "--cacheinfo", f"{mode},{content},{name}")

    run("init", "--quiet")
    run("add", "--all")
    for name, text in changed.items():
        store("100644", name, text)
    store("120000", ".venv", str(ROOT / ".venv"))
    run("commit", "--quiet", "--message", "Publish")
    return f'[url "{repository}"]\n\tinsteadOf = {url}\n'

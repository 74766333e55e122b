"""Completion scripts for shells: ``trajectile --completion bash``."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import shtab

from trajectile.sw_model import config as configuration

SHELLS = ("bash", "zsh", "fish")


class _Print(argparse.Action):
    """Prints the script and leaves, as ``--help`` does."""

    #: makes the parser of all commands
    whole: Callable[[], argparse.ArgumentParser]

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        whole = type(self).whole()
        for commands in (action.choices for action in whole._actions if isinstance(action.choices, dict)):
            for command in commands.values():
                complete(command)
        print(shtab.complete(whole, values))
        parser.exit()


def add_argument(parser: argparse.ArgumentParser, whole: Callable[[], argparse.ArgumentParser]) -> None:
    """Add ``--completion``; ``whole`` makes the parser of all commands."""
    action = type("_Completion", (_Print,), {"whole": staticmethod(whole)})
    parser.add_argument("--completion", action=action, choices=SHELLS, metavar="SHELL",
                        help=argparse.SUPPRESS)


def words(name: str, found: Iterable[str], *, files: bool = False) -> dict[str, Any]:
    """Completion by a list of words and, where ``files`` says so, by names of files; in the terms of shtab."""
    text, function = " ".join(found), f"_trajectile_{name}"
    bash = f'compgen -W "{text}" -- "$1"' + '; compgen -f -- "$1"' * files
    zsh = f"compadd -- {text}; _files" if files else f"compadd -S '' -- {text}"
    fish = f"printf '%s\\n' {text}" + "; __fish_complete_path (commandline -ct)" * files
    return {"bash": function, "zsh": function, "fish": f"({function})", "preamble": {
        "bash": f"{function}() {{ {bash}; }}\n", "zsh": f"{function}() {{ {zsh}; }}\n",
        "fish": f"function {function}; {fish}; end\n"}}


def complete(command: argparse.ArgumentParser) -> None:
    """Say how the arguments of a command are completed: presets, fields, files, folders."""
    for action in command._actions:
        if action.dest in ("config", "hardware"):
            action.complete = words("config", configuration.presets(), files=True)  # type: ignore[attr-defined]
        elif action.dest == "overrides":
            names = [f"{section.name}.{field.name}=" for section in fields(configuration.Config)
                     if isinstance(section.type, type) and is_dataclass(section.type) for field in fields(section.type)]
            action.complete = words("field", names)  # type: ignore[attr-defined]
        elif action.type is Path:
            kind = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE
            action.complete = kind  # type: ignore[attr-defined]

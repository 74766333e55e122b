"""The command that gives the same answer again: what differs from the default of an argument."""

import argparse
import shlex
from collections.abc import Callable, Mapping
from typing import Any


def again(args: argparse.Namespace, command: str, add_arguments: Callable[[argparse.ArgumentParser], None],
          usual: Mapping[str, Any] | None = None) -> str:
    """The command line.

    Args:
        args: as they were given.
        command: its name.
        add_arguments: of the arguments that count.
        usual: values that are as good as the default, by the argument's name.
    """
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["trajectile", command, str(args.config)]
    for override in args.overrides:
        words += ["--set", override]
    for name, default in vars(parser.parse_args([])).items():
        value, option = getattr(args, name), "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif default == []:  # one that may be repeated
            words += [word for one in value for word in (option, str(one))]
        elif value is not False and value != default and not (usual and name in usual and value == usual[name]):
            words += [option, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return shlex.join(words)

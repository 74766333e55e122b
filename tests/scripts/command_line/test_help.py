"""What every command promises: help with examples that run, JSON, exit codes, colours on terminals only, completion."""

import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
from importlib import metadata

import pytest

from tests.support.checkpoints import tensors, weights, write
from tests.support.paths import ROOT
from trajectile.scripts import cli
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.commands import doctor

EXAMPLES = [line for command in cli.COMMANDS.values() for line in command.examples]
#: examples of the help that take a second or two
CHEAP = [line for line in EXAMPLES if line.split()[1] in ("timeline", "buffer", "sweep", "doctor", "import")
         and "--rtl" not in line and "qwen" not in line and "demo" not in line]


def helped(capsys, *arguments):
    """What ``--help`` prints."""
    with pytest.raises(SystemExit) as stop:
        cli.main([*arguments, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_help_fits_a_screen(capsys, monkeypatch):
    """24 lines of 80 columns; every command has its line."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = helped(capsys).splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    for name, command in cli.COMMANDS.items():
        assert any(line.split()[:1] == [name] and line.endswith(command.text) for line in lines)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_a_command(name, capsys, monkeypatch):
    """Examples, exit codes, ``--json``."""
    monkeypatch.setenv("COLUMNS", "80")
    shown = helped(capsys, name)
    assert cli.CODES in shown and "--json" in shown
    for line in cli.COMMANDS[name].examples:
        assert f"  {line}\n" in shown and line.startswith(f"trajectile {name}")


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_can_be_read(line):
    """By the parser of all commands and by the one that ``main`` uses."""
    program, *words = shlex.split(line)
    assert program == "trajectile" and cli.parser().parse_args(words) == cli.parser(words[0]).parse_args(words)


@pytest.mark.parametrize("line", CHEAP)
def test_examples_run(line, tmp_path, monkeypatch, capsys):
    """The cheap ones, with their JSON on stdout: nothing else is there, and no escape sequences anywhere."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "checkpoint", tensors("qwen", *weights()), config={"num_experts_per_tok": 2})
    assert cli.main([*shlex.split(line)[1:], *["--json", "-"] * ("--json" not in line)]) == Exit.DONE
    shown = capsys.readouterr()
    assert json.loads(shown.out) and "\x1b" not in shown.out + shown.err
    assert shown.err.strip()


def test_json_twice_is_the_same(tmp_path, monkeypatch, capsys):
    """To a file and to stdout; tables go to stdout with the file and to stderr without."""
    monkeypatch.chdir(tmp_path)
    arguments = ["timeline", "smoke", "--tokens", "8", "--json"]
    assert cli.main([*arguments, "-"]) == 0
    printed = capsys.readouterr()
    assert cli.main([*arguments, "a/b.json"]) == 0
    told = capsys.readouterr()
    assert (tmp_path / "a" / "b.json").read_text() == printed.out
    assert told.out == printed.err and not told.err and not (tmp_path / "-").exists()


def on_a_terminal(arguments, **environment):
    """What a command writes to a terminal."""
    reader, writer = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen([sys.executable, "-m", "trajectile", *arguments], cwd=ROOT, stdout=writer, stderr=writer,
                          env=env | {"TERM": "xterm-256color", **environment}) as running:
        os.close(writer)
        found = b""
        try:
            while part := os.read(reader, 65536):
                found += part
        except OSError:  # the other end is closed
            pass
        os.close(reader)
    return running.returncode, found.decode()


def test_colours(capsys):
    """On a terminal, but not with NO_COLOR; no terminal, none."""
    code, shown = on_a_terminal(["simulate", "nothing"])
    assert code == Exit.WRONG_INPUT and "\x1b[1;31mtrajectile simulate:" in shown
    code, shown = on_a_terminal(["simulate", "nothing"], NO_COLOR="1")
    assert code == Exit.WRONG_INPUT and "trajectile simulate:" in shown and "31m" not in shown
    assert cli.main(["simulate", "nothing"]) == Exit.WRONG_INPUT
    assert "\x1b" not in capsys.readouterr().err


def test_progress_is_for_people(capsys):
    """Nothing in a pipe; a line on a terminal, which is gone in the end."""
    code, shown = on_a_terminal(["doctor"])
    assert code in (Exit.DONE, Exit.TOOL) and "\x1b[2K" in shown[shown.rindex("asking each tool"):]
    with terminal.status("working") as line:
        line.update("working on")
        assert list(terminal.tracked(range(3), "items")) == [0, 1, 2]
    shown = capsys.readouterr()
    assert not shown.out and not shown.err


def tool(name, version, needed):
    return doctor.Tool(name, f"{name} things", f"apt install [{name}]", lambda: version, needed)


@pytest.mark.parametrize(("needed", "code"), [(True, Exit.TOOL), (False, Exit.DONE)])
def test_doctor_of_a_poor_machine(needed, code, monkeypatch, capsys):
    """What is missing, what it would be for, how to get it; code 3 if everybody needs it."""
    monkeypatch.setattr(doctor.examine, "__defaults__", ((tool("saw", "1.2", True), tool("drill", None, needed)),))
    assert cli.main(["doctor"]) == code
    shown = " ".join(capsys.readouterr().out.split())
    assert "saw 1.2 saw things drill missing drill things apt install [drill]" in shown
    assert ("needed and missing: drill" in shown) == needed


def test_doctor_does_not_trust_names():
    """A program that is not there, that fails, that prints no number, that prints one."""
    assert doctor.said(["no-such-program", "--version"]) is None
    assert doctor.said(["sh", "-c", "echo 1.2; exit 1"]) is None
    assert doctor.said(["sh", "-c", "echo hello"]) == "hello"
    assert doctor.said(["sh", "-c", "echo tool version 1.2.3-4 of today"]) == "1.2.3-4"


def test_version(capsys):
    """That of the package, and nothing is run."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0 and capsys.readouterr().out == f"trajectile {metadata.version('trajectile')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, capsys, tmp_path):
    """The shell reads it; it knows commands, options, presets and fields."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["--completion", shell])
    script = capsys.readouterr().out
    assert stop.value.code == 0
    for word in (*cli.COMMANDS, "qwen3-30b-a3b", "tile.slots=", "timing-only"):
        assert word in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_completion_in_bash(capsys, tmp_path):
    """What a person would see after some words and the tabulator."""
    with pytest.raises(SystemExit):
        cli.main(["--completion", "bash"])
    (tmp_path / "script").write_text(capsys.readouterr().out)

    def offered(*words):
        ask = (f"source {tmp_path / 'script'}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; "
               "$(complete -p trajectile | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); printf '%s\\n' \"${COMPREPLY[@]}\"")
        return subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split()

    assert offered("trajectile", "sim") == ["simulate"]
    assert offered("trajectile", "simulate", "smok") == ["smoke"]
    assert offered("trajectile", "simulate", "smoke", "--set", "tile.sl") == ["tile.slices=", "tile.slots="]
    assert offered("trajectile", "simulate", "smoke", "--simulator", "na") == ["native"]


def test_exit_codes_are_documented():
    """Each has its row in docs/cli.md."""
    rows = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").splitlines()
    for code in Exit:
        assert any(row.startswith(f"| {code.value} |") for row in rows), code

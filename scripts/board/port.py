"""The system on a real board, at the other end of a serial port: as the simulation is used, by commands of its firmware."""

import os
import re
import select
import termios
import tty
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from trajectile.scripts.errors import ToolError, UserError

#: how long the firmware may say nothing, in seconds
PATIENCE = 60.0
#: what is written at once
CHUNK = 4096


class Port:
    """A board whose firmware waits for commands: its DRAM is filled and read by UART, and checked by CRC-32."""

    def __init__(self, path: Path, baud: int, told: Callable[[str], object] = str, patience: float = PATIENCE):
        """Open a serial port.

        Args:
            path: of the device.
            baud: bits per second.
            told: gets each character that the firmware says.
            patience: how long it may say nothing, in seconds.

        Raises:
            UserError: if it is no serial port that can be opened.
        """
        self.told, self.patience, self.path = told, patience, path
        try:
            self.file = os.open(path, os.O_RDWR | os.O_NOCTTY)
        except OSError as error:
            raise UserError(f"--port = {path} is not legal ({error.strerror}); legal: the device of a serial port") from None
        try:
            tty.setraw(self.file)
            mode = termios.tcgetattr(self.file)
            mode[4] = mode[5] = getattr(termios, f"B{baud}")
            termios.tcsetattr(self.file, termios.TCSAFLUSH, mode)
        except termios.error as error:
            os.close(self.file)
            raise UserError(f"--port = {path} is not legal ({error.args[1]}); legal: the device of a serial port") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self.file)

    def load(self, address: int, data: bytes) -> None:
        """Fill a part of the DRAM.

        Raises:
            ToolError: if the board has understood something else, or does not answer.
        """
        self._write(f"w {address:x} {len(data):x}\n".encode() + data)
        self._agreed(self._answer(), data)

    def dump(self, address: int, count: int) -> bytes:
        """Read a part of the DRAM.

        Raises:
            ToolError: if the board has said something else, or does not answer.
        """
        self._write(f"r {address:x} {count:x}\n".encode())
        data = self._read(count)
        self._agreed(self._answer(), data)
        return data

    def command(self, data: bytes = b"h\n") -> str:
        """Send a command, and wait for the answer.

        Raises:
            ToolError: if the board does not answer.
        """
        self._write(data)
        return self._answer(self.told)

    def _agreed(self, said: str, data: bytes) -> None:
        if said != f"crc {zlib.crc32(data):08x}\nok\n":
            raise ToolError(f"a part of the DRAM has not come through {self.path} whole; the board has said {said!r}")

    def _write(self, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            part = data[at:at + CHUNK]
            while part:
                part = part[os.write(self.file, part):]

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            if not select.select([self.file], [], [], self.patience)[0]:
                raise ToolError(f"the board at {self.path} does not answer (for {self.patience:g} seconds); it has said:\n"
                                f"{data[-1000:].decode('latin-1')}")
            data += os.read(self.file, count - len(data))
        return data

    def _answer(self, told: Callable[[str], object] = str) -> str:
        """All to the line that ends an answer."""
        said = ""
        while not re.search(r"^(?:ok|failed.*)\n\Z", said, re.M):
            character = self._read(1).decode("latin-1")
            if character != "\r":
                told(character)
                said += character
        return said

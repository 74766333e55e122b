"""A memory behind an AXI4 manager, in Python: a latency, random stalls, errors on demand, and the rules of AXI checked."""

from collections import deque
from random import Random
from typing import Any

from amaranth.hdl import Value

from trajectile.hw.host.axi import AXI_BURST_INCR, Response
from trajectile.hw.io.ports import IO_BURSTS

#: by channel: what holds with VALID until READY
_PAYLOAD = {"ar": ("araddr", "arlen", "arsize", "arburst"), "aw": ("awaddr", "awlen", "awsize", "awburst"),
            "w": ("wdata", "wstrb", "wlast")}


class IoMemory:
    """Pass ``run`` to ``run_block`` as a background bench; either half may be left out.

    A read burst that is taken in cycle c has its first beat in c + ``latency``, a write is answered ``latency`` cycles after
    its last beat; beats and answers come in order, one per cycle. With ``stall`` each of them, and each READY, is late with
    that probability per cycle. Reads outside of ``contents`` and addresses that break a rule of AXI fail.
    """

    def __init__(self, beat_bytes: int, *, read: Any = None, write: Any = None, latency: int = 1, stall: float = 0.0,
                 seed: int = 0, base: int = 0, contents: bytes = b""):
        self.beat_bytes, self.latency, self.stall = beat_bytes, latency, stall
        self.read, self.write, self.base, self.contents = read, write, base, contents
        self.rng = Random(seed)
        #: numbers of the read beats, and of the write bursts, that are answered with an error
        self.bad_beats: set[int] = set()
        self.bad_bursts: set[int] = set()
        #: every burst that was asked for: (cycle, address, beats)
        self.reads: list[tuple[int, int, int]] = []
        self.writes: list[tuple[int, int, int]] = []
        #: every beat that was taken: (cycle, address, data, bytes enabled)
        self.written: list[tuple[int, int, int, int]] = []
        #: cycles in which beats of reads were taken, and in which writes were answered
        self.beats: list[int] = []
        self.answers: list[int] = []
        self.cycle = 0

    def bytes_written(self) -> dict[int, int]:
        """Each byte that was written, by address; no byte twice."""
        found: dict[int, int] = {}
        for _, address, beat, enabled in self.written:
            for place in range(self.beat_bytes):
                if enabled >> place & 1:
                    assert address + place not in found, f"byte {address + place:#x} is written twice"
                    found[address + place] = beat >> 8 * place & 0xFF
        return found

    def _late(self) -> bool:
        return self.rng.random() < self.stall

    def _check_burst(self, address: int, count: int, size: int, kind: int) -> None:
        assert address % self.beat_bytes == 0 and count <= 256
        assert address // 4096 == (address + count * self.beat_bytes - 1) // 4096, "a burst crosses a 4 KiB line"
        assert 1 << size == self.beat_bytes and kind == AXI_BURST_INCR

    async def run(self, ctx: Any) -> None:
        """One cycle after the other."""
        ports = {name: getattr(half, name) for half in (self.read, self.write) if half is not None
                 for name in half.signature.members}
        due: deque[tuple[int, int, int, int]] = deque()  # read beats: cycle, data, last, number
        bursts: deque[list[int]] = deque()  # write bursts without all beats: address, beats left; 0 beats: not asked for
        early: deque[tuple[int, int, int, int]] = deque()  # beats whose burst was not asked for yet
        answers: deque[int] = deque()
        asked = 0  # beats of reads
        waited: dict[str, tuple[int, ...]] = {}
        open_reads = open_writes = 0
        values: dict[str, int] = {}

        def answer(channel: str) -> bool:
            return bool(values[f"{channel}valid"] and values[f"{channel}ready"])

        while True:
            for channel in ("ar", "aw", "w"):
                if f"{channel}ready" in ports:
                    ctx.set(ports[f"{channel}ready"], not self._late())
            if self.read is not None and not (values.get("rvalid") and not values["rready"]):
                valid = bool(due) and due[0][0] <= self.cycle and not self._late()
                ctx.set(ports["rvalid"], valid)
                if valid:
                    ctx.set(ports["rdata"], due[0][1])
                    ctx.set(ports["rlast"], due[0][2])
                    ctx.set(ports["rresp"], Response.SLVERR if due[0][3] in self.bad_beats else Response.OKAY)
                else:
                    ctx.set(ports["rdata"], self.rng.getrandbits(8 * self.beat_bytes))
                    ctx.set(ports["rlast"], self.rng.getrandbits(1))
            if self.write is not None and not (values.get("bvalid") and not values["bready"]):
                valid = bool(answers) and answers[0] <= self.cycle and not self._late()
                ctx.set(ports["bvalid"], valid)
                bad = valid and len(self.answers) in self.bad_bursts
                ctx.set(ports["bresp"], Response.SLVERR if bad else Response.OKAY)
            _, _, *sampled = await ctx.tick().sample(*map(Value.cast, ports.values()))
            values = dict(zip(ports, map(int, sampled), strict=True))
            for channel, names in _PAYLOAD.items():
                if f"{channel}valid" not in values:
                    continue
                payload = tuple(values[name] for name in names)
                if channel in waited:
                    assert values[f"{channel}valid"] and payload == waited[channel], f"{channel} is withdrawn or changed"
                waited.pop(channel, None)
                if values[f"{channel}valid"] and not values[f"{channel}ready"]:
                    waited[channel] = payload
            if self.read is not None:
                if answer("r"):
                    assert due
                    open_reads -= due.popleft()[2]
                    self.beats.append(self.cycle)
                if answer("ar"):
                    address, count = values["araddr"], values["arlen"] + 1
                    self._check_burst(address, count, values["arsize"], values["arburst"])
                    self.reads.append((self.cycle, address, count))
                    for number in range(count):
                        at = address + number * self.beat_bytes - self.base
                        assert 0 <= at <= len(self.contents) - self.beat_bytes, f"{at + self.base:#x} is read"
                        due.append((self.cycle + self.latency + number,
                                    int.from_bytes(self.contents[at:at + self.beat_bytes], "little"), number == count - 1,
                                    asked))
                        asked += 1
                    open_reads += 1
                    assert open_reads <= IO_BURSTS
            if self.write is not None:
                if answer("b"):
                    answers.popleft()
                    self.answers.append(self.cycle)
                    open_writes -= 1
                # a beat may be taken in a cycle before the address of its burst
                if answer("w"):
                    early.append((self.cycle, values["wdata"], values["wstrb"], values["wlast"]))
                if answer("aw"):
                    address, count = values["awaddr"], values["awlen"] + 1
                    self._check_burst(address, count, values["awsize"], values["awburst"])
                    self.writes.append((self.cycle, address, count))
                    bursts.append([address, count])
                    open_writes += 1
                    assert open_writes <= IO_BURSTS
                while early and bursts:
                    cycle, beat, enabled, last = early.popleft()
                    address, count = bursts[0]
                    assert last == (count == 1), "WLAST"
                    self.written.append((cycle, address, beat, enabled))
                    bursts[0] = [address + self.beat_bytes, count - 1]
                    if count == 1:
                        bursts.popleft()
                        answers.append(self.cycle + self.latency)
                    else:
                        assert enabled in (0, (1 << self.beat_bytes) - 1)
                assert len(early) <= 256, "beats of a burst that is not asked for"
            self.cycle += 1

"""Record readers of shared batches beside the reference, and rings of them."""

from random import Random
from typing import Any

from amaranth.hdl import Elaboratable, Module, ResetInserter, Signal, Value

from tests.support.record_walk import Did, Item, Now, RecordWalk, Share
from tests.support.token_records import Puts, Records
from trajectile.hw.batch.record_reader import RecordReader
from trajectile.hw.d2d.record_port import RecordPort
from trajectile.hw.host.axi import Response
from trajectile.hw.params import Params
from trajectile.sw_model.config import Config


class Batch:
    """The records of all tiles of one batch, by place in the ring."""

    def __init__(self, config: Config, rng: Random, tokens: list[int], shared: bool, wrong: bool = False):
        self.config, self.tokens, self.shared = config, tokens, shared
        self.records = [Records(config, rng, number, wrong=wrong, first=sum(tokens[:position]) if shared else 0)
                        for position, number in enumerate(tokens)]
        beat_bytes = config.io.bytes_per_cycle
        #: by position and part: beats with their errors; those of memory have none so far
        self.beats: list[list[list[Item]]] = [
            [[(0, 0, int.from_bytes(part[at:at + beat_bytes], "little")) for at in range(0, len(part), beat_bytes)]
             for part in records.parts] for records in self.records]

    def spoil(self, rng: Random, position: int) -> list[int]:
        """Let some beats of a tile come with errors; their numbers in its records."""
        found, number = [], 0
        for part in self.beats[position]:
            for at, (head, _, beat) in enumerate(part):
                if rng.random() < 0.1:
                    part[at] = head, 1, beat
                    found.append(number)
                number += 1
        return found

    def items(self, sources: list[int]) -> list[Item]:
        """Those of the sections of these tiles, in the order of the ring."""
        return [item for part in (0, 1) for source in sorted(sources)
                for item in [(1, 0, self.tokens[source]), *self.beats[source][part]]]

    def held(self, position: int) -> list[int]:
        """Whose tokens a tile holds."""
        return list(range(len(self.tokens))) if self.shared else [position]

    def inserts(self, position: int, bit: int) -> list[tuple[int, ...]]:
        """What a tile puts into its lists: each token once into a list."""
        first: dict[tuple[int, ...], tuple[int, ...]] = {}
        for source in self.held(position):
            spoilt = {number for number, (_, error, _) in enumerate(self.beats[source][0]) if error}
            for lane, token, rank, expert, *more in self.records[source].inserts(spoilt):
                first.setdefault((lane, token, expert), (bit, lane, token, rank, expert, *more))
        return list(first.values())

    def fills(self, position: int, bit: int) -> list[tuple[int, ...]]:
        """What a tile puts into its token buffer."""
        return [(bit, *fill) for source in self.held(position) for fill in self.records[source].fills()]


class ReaderInStep:
    """A record reader and the reference: what it is offered and what it does are compared in every cycle."""

    def __init__(self, params: Params, reader: RecordReader, position: int):
        self.config, self.reader, self.position = params.config, reader, position
        self.walk, self.puts = RecordWalk(params.config, position), Puts(reader)
        self.timing_only = params.timing_only
        self.cycles = 0
        #: everything was to stop in the cycle before
        self.stopped = False
        #: by what happened: cycles
        self.seen: dict[str, list[int]] = {}
        #: items that went on
        self.gone: list[Item] = []
        io, begin, insert = reader.io, reader.begin, reader.insert
        self.signals: dict[str, Any] = {
            "start": begin.start, "shared": begin.shared, "batch": begin.batch, "tokens": begin.tokens, "stop": reader.stop,
            "rvalid": io.rvalid, "rready": io.rready, "rdata": io.rdata, "rresp": io.rresp,
            "come_valid": reader.come.valid, "come_ready": reader.come.ready, "come": reader.come.payload.as_value(),
            "go_valid": reader.go.valid, "go_ready": reader.go.ready, "go": reader.go.payload.as_value(),
            "insert": insert.insert, "answer": insert.twice,
            **{f"insert.{name}": getattr(insert, name) for name in ("batch", "lane", "token", "rank", "expert")},
            "insert.weight": insert.weight.as_value(), "insert.exponent": insert.exponent,
            "lists": begin.lists_done, "rows": begin.rows_done, "expert": begin.bad_expert, "twice": begin.twice,
            "response": begin.bad_response, "many": begin.too_many, "total": begin.share.total, "before": begin.share.before,
            **{f"{name}.{half}": getattr(getattr(begin.share, name), half)
               for name in ("own", "previous", "last") for half in ("lane", "token")},
        }
        if not params.timing_only:
            fill = reader.fill
            self.signals |= {"fill": fill.write, "fill.word": fill.word.as_value(),
                             **{f"fill.{name}": getattr(fill, name) for name in ("batch", "lane", "index")}}

    def begin(self, ctx: Any, batch: Batch | None = None, bit: int = 0, address: int = 0) -> None:
        """The strobe, and values that hold with it only; without a batch the end of the strobe."""
        begin = self.reader.begin
        ctx.set(begin.start, batch is not None)
        ctx.set(begin.shared, batch.shared if batch else self.cycles & 1)
        ctx.set(begin.batch, bit if batch else self.cycles & 1)
        ctx.set(begin.tokens, batch.tokens[self.position] if batch else self.cycles & 1)
        ctx.set(begin.records, address // self.config.io.bytes_per_cycle if batch else self.cycles & 1)

    def look(self, sampled: list[int]) -> Did:
        """The values of ``signals`` in a cycle, of which this is the next one; what the reader does in it."""
        values = dict(zip(self.signals, map(int, sampled), strict=True))
        did = self._did(values)
        if values["stop"]:
            self.walk.stop()
            wrong = {"insert", "fill"} & set(did)
            if self.stopped:
                wrong |= {"come", "go", "many", "expert", "twice", "response", "lists", "rows"} & set(did)
            assert not wrong, f"cycle {self.cycles}: {wrong} while everything stops"
            did = {}
        else:
            expected = self.walk.cycle(Now(
                start=bool(values["start"]), shared=bool(values["shared"]), batch=values["batch"], tokens=values["tokens"],
                own=(0, int(values["rresp"] != Response.OKAY.value), values["rdata"]) if values["rvalid"] else None,
                come=self._item(values["come"]) if values["come_valid"] else None,
                room=bool(values["go_ready"]), twice=bool(values["answer"])))
            if self.timing_only:
                expected = {name: value for name, value in expected.items() if name != "fill"}
            assert did == expected, f"cycle {self.cycles}: {did}, not {expected}"
        for name in did:
            self.seen.setdefault(name, []).append(self.cycles)
        if "go" in did:
            self.gone.append(did["go"])
        self.cycles, self.stopped = self.cycles + 1, bool(values["stop"])
        return did

    @staticmethod
    def _item(value: int) -> Item:
        return value & 1, value >> 1 & 1, value >> 2

    def _did(self, values: dict[str, int]) -> Did:
        """What the signals say."""
        did: Did = {name: True for name in ("expert", "twice", "response", "many") if values[name]}
        if values["rvalid"] and values["rready"]:
            did["own"] = True
        if values["come_valid"] and values["come_ready"]:
            did["come"] = True
        if values["go_valid"]:
            assert values["go_ready"], f"cycle {self.cycles}: an item goes on, and there is no room"
            did["go"] = self._item(values["go"])
        for name in ("insert", "fill"):
            if values.get(name):
                fields = ("token", "rank", "expert", "weight", "exponent") if name == "insert" else ("index", "word")
                did[name] = tuple(values[f"{name}.{field}"] for field in ("batch", "lane", *fields))
        for name in ("lists", "rows"):
            if values[name]:
                places = {place: (values[f"{place}.lane"], values[f"{place}.token"]) for place in ("own", "previous", "last")}
                did[name] = Share(**places, total=values["total"], before=values["before"])
        return did


class ReaderRing(Elaboratable):
    """A record reader for each place of a ring, joined by record ports, and by links of ``edges`` cycles: a flit that goes
    in cycle c arrives so many cycles later, a permit has two registers more on its way, the last of them the credit itself.
    """

    def __init__(self, params: Params, edges: list[int]):
        self.edges = edges
        #: the link may be used; by place
        self.free = Signal(len(edges))
        #: everything is in reset
        self.stop = Signal()
        self.readers = [RecordReader(params) for _ in edges]
        self.ports = [RecordPort(params) for _ in edges]

    def elaborate(self, platform: object) -> Module:
        """Registers on the links; flits one way, credits the other."""
        m = Module()
        stopped = ResetInserter(self.stop)
        later = Module()
        for place, (reader, port) in enumerate(zip(self.readers, self.ports, strict=True)):
            m.submodules[f"reader_{place}"], m.submodules[f"port_{place}"] = reader, stopped(port)
            after = self.ports[(place + 1) % len(self.ports)]
            m.d.comb += [
                reader.position.eq(place), reader.stop.eq(self.stop),
                reader.come.valid.eq(port.come.valid), reader.come.payload.eq(port.come.payload),
                port.come.ready.eq(reader.come.ready),
                port.go.valid.eq(reader.go.valid), port.go.payload.eq(reader.go.payload), reader.go.ready.eq(port.go.ready),
                port.flits.ready.eq(self.free[place]),
                after.arrival.valid.eq(self._later(
                    later, f"flit_{place}", port.flits.valid & port.flits.ready, self.edges[place])),
                after.arrival.payload.as_value().eq(self._later(
                    later, f"payload_{place}", port.flits.payload.as_value(), self.edges[place])),
                port.permitted.eq(self._later(later, f"permit_{place}", after.permit_record, self.edges[place] + 1)),
            ]
        m.submodules.later = stopped(later)
        return m

    @staticmethod
    def _later(m: Module, name: str, value: Value, cycles: int) -> Value:
        for cycle in range(cycles):
            kept = Signal(len(value), name=f"{name}_{cycle}")
            m.d.sync += kept.eq(value)
            value = kept
        return value

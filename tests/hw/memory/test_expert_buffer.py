"""The expert buffer: four ports at full rate, and what it says of flipped bits."""

import random
from itertools import product

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.memory_bench import flip, open_srams
from tests.support.slices import FIRST_WORDS, places
from trajectile.hw.memory import expert_buffer
from trajectile.hw.memory.code import stored_bits
from trajectile.hw.memory.expert_buffer import ExpertBuffer
from trajectile.hw.params import Params

PROTECTIONS = ["none", "parity", "secded"]


def words_of(params, rng):
    """Words by slot, as :func:`fill` brings them: in a first word that is cut short, the last piece is repeated."""
    config = params.config
    words = [[rng.getrandbits(params.word_bits) for _ in range(config.slice_words)] for _ in range(config.tile.slots)]
    for slot, own in enumerate(words):
        size = config.flit_bytes if slot % 2 else config.ddr.bytes_per_cycle
        last = max(piece for word, piece in places(config, size) if not word)
        pieces = own[0].to_bytes(config.tile.word_bytes, "little")[:(last + 1) * size]
        filled = pieces + pieces[last * size:] * config.tile.word_bytes
        own[0] = int.from_bytes(filled[:config.tile.word_bytes], "little")
    return words


async def fill(ctx, block, words):
    """Slots in pairs: one from the loader, the other from the receiver at the same time, each in its own pieces."""
    for low in range(0, len(words), 2):
        todo = [(port, _pieces(port, slot, words[slot], block.params.config))
                for port, slot in zip((block.load, block.receive), range(low, len(words)), strict=False)]
        for step in range(max(len(pieces) for _, pieces in todo)):
            for port, pieces in todo:
                ctx.set(port.en, step < len(pieces))
                if step < len(pieces):
                    for name, value in pieces[step].items():
                        ctx.set(getattr(port, name), value)
            await ctx.tick()
        ctx.set(block.load.en, 0)
        ctx.set(block.receive.en, 0)


def _pieces(port, slot, words, config):
    """The writes that bring ``words`` into ``slot``."""
    size = len(port.data)
    return [{"slot": slot, "addr": address, "piece": piece, "data": words[address] >> piece * size & (1 << size) - 1}
            for address, piece in places(config, size // 8)]


@pytest.mark.parametrize(("beat_bytes", "first"), [(1, "short"), (3, "short"), (5, "short"), (16, "short"), (20, "short"),
                                                   (4, "whole"), (4, "two")])
@pytest.mark.parametrize(("protect", "registered"), [*product(PROTECTIONS, [False]), ("none", True), ("secded", True)])
def test_reads_what_was_written(protect, registered, beat_bytes, first, monkeypatch):
    """Both readers at once on different slots; words hold until the next read; no error is seen in sound memory."""
    srams = open_srams(monkeypatch, expert_buffer)
    changes = FIRST_WORDS[first] | {"tile__slots": 4, "link__beat_bytes": beat_bytes, "tile__register_slots": registered}
    params = Params(small(tile__protect=protect, **changes))
    block, rng = ExpertBuffer(params), random.Random(1)
    words = words_of(params, rng)

    async def bench(ctx):
        await fill(ctx, block, words)
        for _ in range(200):
            for (name, port), slot in zip(ports.items(), rng.sample(range(4), 2), strict=True):
                address, enabled = rng.randrange(len(words[0])), rng.random() < 0.7
                ctx.set(port.en, enabled)
                ctx.set(port.slot, slot)
                ctx.set(port.addr, address)
                if name == "compute":
                    ctx.set(block.computes, enabled)
                if enabled:  # the slot changes hands: it does not hold the other's word any more
                    for other in [other for other, (owned, _) in shown.items() if owned == slot]:
                        del shown[other]
                    shown[name] = slot, words[slot][address]
            later.append(dict(shown))
            await ctx.tick()
            for name, (_, word) in later.pop(0).items():
                assert ctx.get(ports[name].data) == word
            if protect != "none":
                assert not ctx.get(block.corrected) and not ctx.get(block.error)

    ports = {"compute": block.compute, "send": block.send}
    shown = {}  # by port: slot and word
    later = [{}] * (block.latency_cycles - 1)
    run_block(block, bench)
    assert [sram.width for sram in srams] == [stored_bits(protect, params.word_bits, block.lanes)] * 4


@pytest.mark.parametrize(("protect", "number"), [("parity", 1), ("secded", 1), ("secded", 2)])
@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("port", ["compute", "send"])
def test_flipped_bits(protect, number, port, registered, monkeypatch):
    """One strobe a read, a cycle after its word, however long that is shown; none for the words that are sound."""
    srams = open_srams(monkeypatch, expert_buffer)
    params = Params(small(tile__protect=protect, tile__register_slots=registered))
    block, rng = ExpertBuffer(params), random.Random(number)
    words = words_of(params, rng)
    seen, wanted = [], []
    later = [None] * (block.latency_cycles - 1)

    async def bench(ctx):
        await fill(ctx, block, words)
        bad = {(slot, address) for slot in range(len(words)) for address in range(len(words[0])) if rng.random() < 0.3}
        for slot, address in bad:
            word = srams[slot].word(address)
            ctx.set(word, ctx.get(word) ^ flip(protect, params.word_bits, number, rng, block.lanes))
        reader = getattr(block, port)
        for _ in range(200):
            slot, address = rng.randrange(len(words)), rng.randrange(len(words[0]))
            enabled = rng.random() < 0.5
            ctx.set(reader.en, enabled)
            ctx.set(reader.slot, slot)
            ctx.set(reader.addr, address)
            ctx.set(block.computes, enabled and port == "compute")
            later.append(words[slot][address] if enabled else None)
            await ctx.tick()
            if (word := later.pop(0)) is not None and (protect, number) == ("secded", 1):
                assert ctx.get(reader.data) == word
            wanted.append(enabled and (slot, address) in bad)
            seen.append((ctx.get(block.corrected), ctx.get(block.error)))

    run_block(block, bench)
    corrects = (protect, number) == ("secded", 1)
    late = block.flag_cycles - 1
    assert seen[:late] == [(0, 0)] * late
    assert seen[late:] == [(int(bad and corrects), int(bad and not corrects)) for bad in wanted[:-late]]
    assert 20 < sum(wanted) < 180

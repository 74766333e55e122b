"""The queue of descriptors: what is pushed comes out, whole and in order, one cycle later at the earliest."""

import random
from collections import deque

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.watch import Watch
from trajectile.hw.batch.ports import QUEUE_DEPTH
from trajectile.hw.batch.queue import BatchQueue
from trajectile.hw.params import Params


@pytest.mark.parametrize(("pushes", "takes"), [(0.5, 0.5), (0.9, 0.2), (0.2, 0.9), (1.0, 1.0)])
def test_random(pushes, takes):
    """Whenever there is room something may be pushed, whenever something is offered it may be taken, also at once."""
    queue, rng = BatchQueue(Params(small())), random.Random(3)
    doorbell, out = queue.doorbell, queue.descriptors
    bits = queue.params.descriptor_layout.size
    held: deque[int] = deque()
    levels = set()

    async def bench(ctx):
        taken = 0
        for _ in range(1000):
            assert ctx.get(doorbell.level) == len(held) and ctx.get(out.valid) == bool(held)
            levels.add(len(held))
            if held:
                assert ctx.get(out.payload.as_value()) == held[0]
            value = rng.getrandbits(bits)
            push, take = len(held) < QUEUE_DEPTH and rng.random() < pushes, rng.random() < takes
            ctx.set(doorbell.push, push)
            ctx.set(doorbell.descriptor.as_value(), value)
            ctx.set(out.ready, take)
            await ctx.tick()
            if held and take:
                held.popleft()
                taken += 1
            if push:
                held.append(value)
        assert taken > 100

    run_block(queue, bench)
    assert levels >= ({0, 1} if takes > pushes else {1, 2} if pushes > takes else {0, 1})


def test_latency():
    """Offered in the cycle after the push."""
    queue = BatchQueue(Params(small()))
    watch = Watch(push=queue.doorbell.push, valid=queue.descriptors.valid)

    async def bench(ctx):
        ctx.set(queue.descriptors.ready, 1)
        for pause in (3, 1, 2):
            ctx.set(queue.doorbell.push, 1)
            await ctx.tick()
            ctx.set(queue.doorbell.push, 0)
            await ctx.tick().repeat(pause)
        await ctx.tick().repeat(3)

    run_block(queue, bench, background=[watch.run])
    assert watch.between("push", "valid") == {queue.latency_cycles}

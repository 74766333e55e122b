"""One way to simulate a block."""

from amaranth.sim import Simulator


def run_block(block, *benches, background=()) -> None:
    """Simulate a block in Amaranth's simulator until every bench has returned; ``background`` benches may go on for ever.

    After each edge those in the background act first, so that the others see what surrounds the block in the same cycle.
    """
    simulator = Simulator(block)
    simulator.add_clock(1e-6)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()

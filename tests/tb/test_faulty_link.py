"""The faulty PHY by itself: it does what it was told, says what it did, and a seed repeats it."""

import re
from itertools import pairwise

import pytest

from tests.support.tools import require_icarus
from trajectile.sw_model.config import ArrayConfig
from trajectile.tb import clocked, faults, faulty_link
from trajectile.tb.faults import NEVER, LinkFaults
from trajectile.tb.top import TOP

WIDTH, LATENCY, CYCLES = 37, 3, 4000
ARRAY = ArrayConfig(rows=1, cols=2, ddr_tiles=(0,))
EMITTED = f"""module trajectile_d2d_link (
  input wire hold,
  input wire [{WIDTH - 1}:0] near__frame,
  output wire [{WIDTH - 1}:0] far__frame
);
"""
#: both links of a 1x2 array, fed with random frames; prints what goes in and comes out from the first cycle of a run on
BENCH = f"""module {TOP} (input wire clk);
    reg [31:0] fault_run, run, cycle, cycles, hold;
    reg [63:0] a, b;
    wire [{WIDTH - 1}:0] far0, far1;
    wire holds = cycle > 20 && hold != 0 && cycle % hold == 0;
    trajectile_d2d_link link_0_to_1 (
        .clk(clk), .rst(cycle < 4), .hold(holds), .near__frame(a[{WIDTH - 1}:0]), .far__frame(far0));
    trajectile_d2d_link link_1_to_0 (
        .clk(clk), .rst(cycle < 4), .hold(1'b0), .near__frame(a[{WIDTH + 9}:10]), .far__frame(far1));
    initial begin
        cycle = 0;
        fault_run = 0;
        a = 64'h123456789abcdef;
        if (!$value$plusargs("run=%d", run)) run = 0;
        if (!$value$plusargs("cycles=%d", cycles)) cycles = 0;
        if (!$value$plusargs("hold=%d", hold)) hold = 0;
    end
    always @(posedge clk) begin
        b = a ^ (a << 13);
        b = b ^ (b >> 7);
        a <= b ^ (b << 17);
        cycle <= cycle + 1;
        if (cycle == 9) fault_run <= run;
        if (cycle >= 10) $display("%h %h %h %h", a[{WIDTH - 1}:0], far0, a[{WIDTH + 9}:10], far1);
        if (cycle == cycles + 9) fault_run <= 0;
        if (cycle == cycles + 20) $finish;
    end
endmodule
"""


@pytest.fixture(params=[pytest.param("verilator", marks=pytest.mark.regress), "icarus"])
def simulator(request) -> str:
    """Each simulator; what Verilator does with this module is in every run of the campaign as well."""
    if request.param == "icarus":
        require_icarus()
    return request.param


@pytest.fixture
def play(simulator, tmp_path):
    """Runs the bench; returns (near, far) of each link frame by frame, and what the log says of each link."""
    built = clocked.build({"bench.v": BENCH, "link.v": faulty_link.faulty_link(EMITTED, LATENCY),
                           faulty_link.CORE.name: faulty_link.CORE.read_text(encoding="utf-8")}, simulator)

    def playing(*what, seed=1, run=1, cycles=CYCLES, hold=0):
        print(f"seed {seed}")
        plan, log = tmp_path / "plan.txt", tmp_path / "log.txt"
        plan.write_text(faults.plan(ARRAY, [(seed, what), (seed + 1, what)]))
        log.unlink(missing_ok=True)
        shown = clocked.run(built, tmp_path, [f"+faults={plan}", f"+fault_log={log}", f"+cycles={cycles}", f"+run={run}",
                                              f"+hold={hold}"])
        rows = [[int(word, 16) for word in line.split()] for line in shown.splitlines() if re.fullmatch(r"[0-9a-f ]+", line)]
        links = [[(row[2 * i], later[2 * i + 1]) for row, later in zip(rows, rows[LATENCY:], strict=False)][:cycles]
                 for i in range(2)]
        found = faults.injected(log) if log.exists() else {}
        assert set(found) <= {(run, "link_0_to_1"), (run, "link_1_to_0")}
        return links, [found.get((run, name)) for name in ("link_0_to_1", "link_1_to_0")]

    return playing


def flipped(link):
    """Flipped bits of each frame, as one integer."""
    return [near ^ far for near, far in link]


def test_nothing_goes_wrong_unless_asked_for(play):
    """Frames come through as they went in, in LATENCY cycles; a run without a plan says so."""
    links, log = play()
    assert all(not any(flipped(link)) for link in links)
    assert [said[:2] for said in log] == [(CYCLES, 0)] * 2
    links, log = play(LinkFaults(ber=0.5), run=0)
    assert all(not any(flipped(link)) for link in links) and log == [None, None]


#: bits flipped at a rate, by link: the same in both simulators, and near rate * WIDTH * CYCLES
FLIPPED = {0.2: (29602, 29353), 1e-2: (1482, 1586), 1e-4: (16, 11)}


@pytest.mark.parametrize("ber", FLIPPED)
def test_bit_error_rate(play, ber):
    """Within four standard deviations, the counts of this seed exactly, and no bit more often than another."""
    links, log = play(LinkFaults(ber=ber))
    mean = ber * WIDTH * CYCLES
    for link, said in zip(links, log, strict=True):
        flips = flipped(link)
        assert said.bits == sum(bits.bit_count() for bits in flips)
        assert said.hurt == sum(bits != 0 for bits in flips)
        assert abs(said.bits - mean) <= 4 * (mean * (1 - ber)) ** 0.5
        if ber == 0.2:
            for bit in range(WIDTH):
                ones = sum(bits >> bit & 1 for bits in flips)
                assert abs(ones - ber * CYCLES) <= 4.5 * (ber * (1 - ber) * CYCLES) ** 0.5
    assert tuple(said.bits for said in log) == FLIPPED[ber]


def test_seeds(play):
    """A seed repeats itself; another seed, another run and another link do something else."""
    one, log = play(LinkFaults(ber=0.01))
    again, log_again = play(LinkFaults(ber=0.01))
    assert (one, log) == (again, log_again)
    others = [one[1], play(LinkFaults(ber=0.01), seed=5)[0][0], play(LinkFaults(ber=0.01), run=2)[0][0]]
    assert all(flipped(one[0]) != flipped(other) for other in others)
    assert play(LinkFaults(ber=0.01), seed=0, run=2)[0] == one  # run 2 of seed 0 has seed 1


@pytest.mark.parametrize("weight", [1, 2, 3, WIDTH, 99])
def test_errors_of_a_weight(play, weight):
    """So many bits of a frame, never the same twice."""
    links, log = play(LinkFaults(errors=0.1, errors_bits=weight))
    for link, said in zip(links, log, strict=True):
        weights = [bits.bit_count() for bits in flipped(link) if bits]
        assert set(weights) == {min(weight, WIDTH)} and len(weights) == said.errors
        assert abs(said.errors - 0.1 * CYCLES) <= 4 * (0.09 * CYCLES) ** 0.5


@pytest.mark.parametrize("length", [1, 2, 16, 100])
def test_bursts(play, length):
    """First and last bit are flipped, nothing outside; a long one goes on in the next frames."""
    links, log = play(LinkFaults(burst=0.005, burst_bits=length))
    for link, said in zip(links, log, strict=True):
        stream = sum(bits << WIDTH * number for number, bits in enumerate(flipped(link)))
        lengths = []
        while stream:
            stream >>= (stream & -stream).bit_length() - 1
            lengths.append((stream & (1 << length) - 1).bit_length())
            stream >>= length
        whole = [seen == length for seen in lengths]
        assert sum(whole) >= 0.8 * said.bursts > 8  # some run into each other, or into the end
        assert len(lengths) <= said.bursts and said.bits >= said.bursts


def test_drops(play):
    """Zeros in place of a frame."""
    links, log = play(LinkFaults(drop=0.05))
    for link, said in zip(links, log, strict=True):
        lost = [far for near, far in link if far != near]
        assert set(lost) == {0} and len(lost) == said.drops
        assert abs(said.drops - 0.05 * CYCLES) <= 4 * (0.0475 * CYCLES) ** 0.5


@pytest.mark.parametrize("back", [1, 5])
def test_repetitions(play, back):
    """A frame of up to so many cycles before, and each distance occurs."""
    links, log = play(LinkFaults(repeat=0.05, repeat_back=back))
    for link, said in zip(links, log, strict=True):
        distances = []
        for number, (near, far) in enumerate(link):
            if far != near and number >= back:
                distances.append(number - max(n for n in range(number) if link[n][0] == far))
        assert set(distances) == set(range(1, back + 1)) and len(distances) + 2 >= said.repeats


@pytest.mark.parametrize("value", [0, 1])
def test_stuck_bits(play, value):
    """Bits 5 to 8 from cycle 100 to 199."""
    links, log = play(LinkFaults(stuck=(5, 8), stuck_at=value, stuck_cycles=(100, 200)))
    mask = 0b1111 << 5
    for link, said in zip(links, log, strict=True):
        for number, (near, far) in enumerate(link):
            assert far == ((near | mask if value else near & ~mask) if 100 <= number < 200 else near)
        assert 80 <= said.stuck == said.hurt < 100  # one frame in sixteen has the value anyway


@pytest.mark.parametrize("dead", faults.DEAD_VALUES)
def test_death(play, dead):
    """One link for ever, the other not at all."""
    links, log = play(LinkFaults(link=1, dead=dead, dead_cycles=(50, NEVER)))
    assert not any(flipped(links[0])) and log[0].hurt == 0
    assert not any(flipped(links[1][:50])) and log[1].dead == CYCLES - 50
    shown = {far for _, far in links[1][50:]}
    assert shown == {"zeros": {0}, "ones": {2**WIDTH - 1}}.get(dead, shown)
    assert len(shown) == (CYCLES - 50 if dead == "noise" else 1)


def test_held_frames_are_lost(play):
    """``hold`` loses what is offered, faults or not, and is no fault."""
    links, log = play(hold=7)
    lost = [number for number, (near, far) in enumerate(links[0]) if far != near]
    assert {far for near, far in links[0] if far != near} == {0} and len(lost) > CYCLES // 8
    assert {b - a for a, b in pairwise(lost)} == {7}
    assert [said.hurt for said in log] == [0, 0]


@pytest.mark.parametrize(("change", "named"), [
    ({"ber": 1.0}, "ber = 1.0"), ({"drop": -0.1}, "drop = -0.1"), ({"errors_bits": 0}, "errors_bits = 0"),
    ({"repeat_back": 16}, "repeat_back = 16"), ({"dead": "x"}, "dead = 'x'"),
])
def test_faults_that_make_no_sense(change, named):
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        LinkFaults(**change)


def test_a_link_is_named_once():
    for wrong in ([LinkFaults(), LinkFaults(link=0)], [LinkFaults(link=2)]):
        with pytest.raises(ValueError, match="of run 1 are not legal"):
            faults.plan(ARRAY, [(1, wrong)])

"""Two tiles that begin anew whenever they like, over a link that loses and repeats frames: who says OPEN means this life.

A tile's life begins with each of its resets, by a host, by a neighbour or by ``rst`` alone. Every frame carries, for the
proof, the life of its sender and the one of the far end that the sender has last heard.
"""

from amaranth.hdl import Mux, ResetInserter, Signal
from amaranth.lib import data

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.d2d.epochs import Epochs
from trajectile.hw.d2d.layouts import LinkState, Port
from trajectile.hw.d2d.training import LinkTraining

#: bits of the number of a life, and frames that a replay buffer holds: no frame is older
LIFE_BITS, WINDOW = 5, 2


class TrainingSpec(Spec):
    """Each tile has one link; a reset lasts as long as it likes."""

    def build(self) -> None:
        m = self.m
        params = tiny(link__crc_bits=16, array__clocks="independent")
        params.config.__dict__["link_window"] = WINDOW
        layout = data.StructLayout({"valid": 1, "news": params.news_layout, "life": LIFE_BITS, "far": LIFE_BITS})
        sent = {name: Signal(layout, name=f"sent_{name}") for name in "ab"}
        arrived = {name: Signal(layout, name=f"arrived_{name}") for name in "ab"}
        for name, other in ("ab", "ba"):
            epochs = Epochs(params)
            training = LinkTraining(params)
            rst, asks, goes_on = (self.free(1, f"{what}_{name}") for what in ("rst", "asks", "goes_on"))
            m.submodules[f"epochs_{name}"] = ResetInserter(rst)(epochs)
            m.submodules[f"training_{name}"] = ResetInserter(rst)(training)
            restart = Signal(name=f"restart_{name}")
            m.d.sync += restart.eq(~rst & (epochs.begins | (restart & goes_on)))
            m.d.comb += [epochs.ask.eq(asks), epochs.restart.eq(restart)]
            for port in (Port.EAST, Port.SOUTH, Port.WEST):
                m.d.comb += epochs.links[port.value].silent.eq(1)
            link, mine = epochs.links[Port.NORTH.value], training.epochs
            m.d.comb += [
                mine.awake.eq(link.awake), mine.known.eq(link.known), mine.epoch.eq(link.epoch),
                mine.restart.eq(link.restart),
                link.speaks.eq(mine.speaks), link.is_new.eq(mine.is_new), link.far_epoch.eq(mine.far_epoch),
                link.halted.eq(mine.halted), link.restarted.eq(mine.restarted), link.is_open.eq(mine.is_open),
                link.silent.eq(mine.silent), link.ready.eq(mine.ready),
            ]
            life, heard_life = Signal(LIFE_BITS, name=f"life_{name}"), Signal(LIFE_BITS, name=f"heard_{name}")
            with m.If(epochs.begins | rst):
                m.d.sync += life.eq(life + 1)
            frame = arrived[name]
            m.d.comb += [training.comes.eq(frame.valid), training.news.eq(frame.news)]
            same = frame.valid & (frame.news.state != LinkState.NEW) & (frame.news.epoch == epochs.epoch)
            is_open = training.state == LinkState.OPEN
            with m.If(same & ~is_open):
                m.d.sync += heard_life.eq(frame.life)
            # what goes, and what of it comes: this frame, the one before, or none
            before = Signal(layout, name=f"before_{name}")
            m.d.comb += [
                sent[name].valid.eq(1), sent[name].news.state.eq(training.state), sent[name].news.epoch.eq(epochs.epoch),
                sent[name].life.eq(life), sent[name].far.eq(heard_life),
            ]
            m.d.sync += before.eq(sent[name])
            fault = self.free(2, f"fault_{name}")
            m.d.sync += arrived[other].eq(Mux(fault[1], 0, Mux(fault[0], before, sent[name])))
            counts = self.wire(training.counts & frame.valid, f"counts_{name}")
            self.claim("lives", "a frame of an open link that counts means this life of the tile", frame.far == life,
                       when=counts & (frame.news.state == LinkState.OPEN))
            self.claim("lives", "and is of the life with which the link was opened", frame.life == heard_life,
                       when=counts & is_open)
            self.reach(is_open & (life == 2) & counts & (frame.news.state == LinkState.OPEN))


PROOFS = (
    Proof(name="training-lives", block="Epochs, LinkTraining", spec=TrainingSpec, group="lives", bound=34,
          size=f"two tiles, a window of {WINDOW}, a flight of a cycle, lives modulo {2**LIFE_BITS}",
          assumes="frames come, are lost, or the one before comes in their place; resets at any time, which are too few here "
                  "for numbers to come again",
          says="a link is open only between lives that have heard each other: nothing of a life before counts",
          mutants=("training-trusts-open", "training-epochs-ignored"), mutant_bound=26, reach_bound=32),
)

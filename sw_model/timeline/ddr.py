"""A DDR channel: when the beats of a slice come.

Plain, it is the model of the benches (``tb/rtl/ddr_model.v``): a latency, then one beat per cycle, to the cycle. With refresh
and rows (``[ddr]``) it follows a controller within a percent (docs/ddr.md): the channel pauses at fixed times, and at each
row that a slice touches.
"""

from trajectile.sw_model.config import Config


class DdrChannel:
    """The data pins of one channel, which carry slice after slice. Refreshes end at multiples of their interval."""

    def __init__(self, config: Config):
        self.config = config
        #: first cycle in which the channel may carry the next beat
        self.free = 0

    def last_beat(self, asked: int, row: int) -> int:
        """Cycle of the last beat of a slice.

        Args:
            asked: cycle of its first address.
            row: which slice of the channel it is.
        """
        config, ddr = self.config, self.config.ddr
        busy, first = config.slice_beats, max(asked + ddr.latency_cycles, self.free)
        if ddr.row_cycles:
            begin = row * (config.slice_pitch_bytes // ddr.bytes_per_cycle)
            busy += ddr.row_cycles * (1 + (begin + config.slice_beats - 1) // ddr.row_beats - begin // ddr.row_beats)
        self.free = self._after(first, busy) if ddr.refresh_cycles else first + busy
        return self.free - 1

    def _after(self, first: int, busy: int) -> int:
        """First cycle after so many of work from ``first`` on: of each interval the last cycles are no work."""
        interval = self.config.ddr.refresh_interval_cycles
        work = interval - self.config.ddr.refresh_cycles
        done = work * (first // interval) + min(first % interval, work) + busy
        whole = (done - 1) // work
        return whole * interval + done - whole * work

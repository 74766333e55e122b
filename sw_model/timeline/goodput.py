"""What a link with go-back-N replay carries at a bit error rate: a prediction to hold against the RTL."""

from trajectile.sw_model.config import Config
from trajectile.sw_model.latencies import replay_cycles


def frame_error_rate(ber: float, frame_bits: int) -> float:
    """Share of the frames with at least one wrong bit, if bits go wrong independently."""
    return float(1 - (1 - ber) ** frame_bits)


def goodput(config: Config, ber: float, frame_bits: int) -> tuple[float, float]:
    """Flits per cycle at full load in both directions, as ``(least, most)``.

    With N = :func:`~trajectile.sw_model.latencies.replay_cycles` and a share p of the frames lost, a frame is sent 1 / (1 -
    p) times, and each loss costs N cycles: (1 - p) / (1 - p + p N). That is the most. A loss in the other direction holds
    back credits, and there are no more of them than flits in a round trip: if every loss in either direction stops both, p N
    becomes 2 p N. That is the least; where losses are many the stops overlap, and the truth lies in between.
    """
    lost, cycles = frame_error_rate(ber, frame_bits), replay_cycles(config)
    least, most = ((1 - lost) / (1 - lost + directions * lost * cycles) for directions in (2, 1))
    return least, most

"""The timing contract: every latency that the golden model relies on, named once.

docs/architecture.md, section "Latencies", promises them; its table is written from here. The blocks of ``hw`` state their own
and import none of these: tests measure each block, and compare what it states with this module
(``tests/hw/test_timing_contract.py``). So a wrong number fails on whichever side it is.

Below, "to" counts cycles from one event to another: 0 is the same cycle.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trajectile.sw_model.config import Config

# -- tile: rules, slots, loader -------------------------------------------------------------------------------------

#: an event (load, loaded, arrived, computed, sent, ...) to the state in which the rules see it
STATE_CYCLES = 1
#: load fires to its first address on the DDR channel; one burst per cycle
ADDRESS_CYCLES = 1
#: the last beat of a slice to `loaded`: it is written
LOADED_CYCLES = 1
#: a slice's last beat to the first address of a load that had to wait for it: `loaded`, state, load, address
LOAD_TURN_CYCLES = LOADED_CYCLES + STATE_CYCLES + ADDRESS_CYCLES
#: how much longer than the DDR's latency loads are asked for ahead: their turn, and a grant that goes first
LOAD_AHEAD_CYCLES = LOAD_TURN_CYCLES + 1

# -- a batch forms itself (docs/batch.md) -----------------------------------------------------------------------------

#: descriptors that wait; doorbell to begin, if a batch may begin; begin to a doorbell that had to wait for room
QUEUE_DEPTH = 2
QUEUE_CYCLES = 1
QUEUE_ROOM_CYCLES = STATE_CYCLES
#: one phase of a batch ends to the next begins, or the same phase of the next batch that had to wait for it
PHASE_CYCLES = 1
#: a batch has finished to its token lists empty, besides a cycle for each expert
SWEEP_CYCLES = STATE_CYCLES
#: begin to the first address of its records; to lists and activations complete, if there are no records
RECORD_ADDRESS_CYCLES = 1
NO_RECORDS_CYCLES = STATE_CYCLES
#: an item of records is taken to the first cycle in which it is worked off; items that wait for that, or are worked off
ITEM_CYCLES, ITEM_PLACES = 1, 2
#: bursts of the io port that are under way at the most, each way
IO_BURSTS = 4
#: the last beat of a burst is read, or a burst written is answered, to the address of one that had to wait for it
IO_AGAIN_CYCLES = STATE_CYCLES
#: cycles in which a head's exponent, and each of its choices, is worked off
EXPONENT_CYCLES, CHOICE_CYCLES = 1, 2
#: the exchange starts to the first cycle in which its first word, which says order and tag, may go; from there to the first
#: counts
EXCHANGE_HEADER_CYCLES, EXCHANGE_COUNTS_CYCLES = 1, 5
#: a word goes to the next word of counts
COUNT_AGAIN_CYCLES = 4
#: the last count is written to `formed`; then counts are summed up, a word per cycle, before the first expert is looked at
FORMED_CYCLES = 1
#: the first expert looked at to a pick, besides a cycle for each expert; a pick is taken to the first look for the next
PICK_CYCLES, PICK_AGAIN_CYCLES = 3, 1
#: a pick is taken to the look at the first of its slices; the look at the last to the next pick
MAKE_CYCLES = 1
MAKE_AGAIN_CYCLES = STATE_CYCLES
#: counts are summed up to the end of making loads, if no expert is active
NOTHING_MADE_CYCLES = 1
#: load entries that wait for rule 1; one is made to rule 1; one is taken to another made that had to wait for room
LOAD_ENTRIES = 4
ENTRY_CYCLES = 1
ENTRY_ROOM_CYCLES = STATE_CYCLES
#: the result writer starts to its first address; from there to its first piece of results (of a record: in the same cycle)
RESULT_ADDRESS_CYCLES, RESULT_PIECE_CYCLES = 1, 1
#: bytes of a beat for each bf16 that is converted in a cycle; a bf16 is put into its beat so much later than an int32
CONVERT_BYTES, CONVERT_CYCLES = 8, 5
#: all beats are answered to what follows: the record starts, or the batch is complete
ANSWERED_CYCLES = 1

# -- from tile to tile ----------------------------------------------------------------------------------------------

#: request or grant fires to its message on the link
CONTROL_CYCLES = 2
#: the end of a link to what is there: receiver, rules, or the next link
ROUTER_CYCLES = 1
#: send fires, and the header is on the link, to the first payload flit out of the slot; one per cycle
PAYLOAD_CYCLES = 2
#: how much later words come out of slots with registers before them (`tile.register_slots`), to the MAC array or the sender;
#: how much later they go from there to the link, as they wait in a queue
SLOT_CYCLES, WORD_QUEUE_CYCLES = 1, 1
#: how much later flits of slices are on the link because they have registers before it (`tile.register_flits`)
FLIT_CYCLES = 1
#: a payload flit at the receiver to its place in the slot
WRITTEN_CYCLES = 0
#: what a link layer adds to a link's flight: two cycles at the near end (frame, CRC), two at the far end (check, deliver)
LINK_LAYER_CYCLES = 4
#: what the crossing between two clocks adds to a link's flight, at the most, as long as no frame waits in it: the
#: synchroniser's two cycles, the phase between the clocks, the read register
CROSSING_CYCLES = 4
#: how many frames may wait in a crossing because the sender's clock is faster, before IDLE frames are left out
DRIFT_CYCLES = 2
#: how much longer than two flights a credit takes until it may be spent again: the flit's register, the credit's, the count
CREDIT_CYCLES = 3
#: how much longer than two flights no new frame goes because one was lost
REPLAY_CYCLES = 3

# -- tokens travel (docs/dataflows.md) --------------------------------------------------------------------------------

#: flits of records that may be under way to a tile
RECORD_CREDITS = 16
#: a header of a section is worked off
SECTION_CYCLES = 1
#: an item is taken to its flit on the link; a flit at the end of a link to the queue's head, besides the router
RECORD_OUT_CYCLES, RECORD_QUEUE_CYCLES = 1, 2
#: items that were taken and have not gone on, at the most
RECORD_PLACES = 2
#: the reduction starts to its permit for the ring-previous tile
PERMIT_CYCLES = STATE_CYCLES
#: a word of sums arrives, and the tile's own is read, to the bank's register that holds both; a word is read to its first
#: flit
SUM_CYCLES, SUM_OUT_CYCLES = 2, 1
#: the last flit gone and the last word written to `summed`
SUMMED_CYCLES = STATE_CYCLES

# -- compute --------------------------------------------------------------------------------------------------------

#: compute fires to the address of the slice's first word, which holds parameters
COMPUTE_SETUP_CYCLES = 3
#: how much later it is if starts are registered (`tile.register_starts`)
START_CYCLES = 1
#: the last weight address to the compute unit drained, all results and counts of clips written
COMPUTE_DRAIN_CYCLES = 14
#: the last word address of a gate-up segment to the first of its down segment, besides a cycle for each pair of a word
SWIGLU_DRAIN_CYCLES = 18
#: how much longer both take if operands are registered twice (`tile.register_operands`), if products are
#: (`tile.register_products`)
OPERAND_CYCLES, PRODUCT_CYCLES = 1, 1
#: how much sooner than the last weight address the next slice may start, if the down segment is that long
COMPUTE_EARLY_CYCLES = 2
#: a bank of results reads for one group in the cycle in which it writes for the group so many cycles before
RESULT_WRITE_CYCLES = 3

# -- host: no part of the timeline, promised to software ------------------------------------------------------------

#: a request that is accepted to its response
HOST_CYCLES = 4
#: how much later a response can be because an access of the other channel goes first
OTHER_ACCESS_CYCLES = 2
#: what a counter counts to the counter
COUNTER_CYCLES = 2
#: a protected SRAM is read to the error, or the correction, at the host port
FLAG_CYCLES = 2


def hop_cycles(config: "Config") -> int:
    """From one router's output, over a link, to what is behind the next router."""
    return config.link_flight_cycles + ROUTER_CYCLES


def header_cycles(config: "Config", hops: int) -> int:
    """A flit goes to the link to what is behind the ring-next router, over so many links."""
    return hops * hop_cycles(config)


def flit_cycles(config: "Config") -> int:
    """Send fires to its header on the link; so much later goes each of the slice's flits."""
    return FLIT_CYCLES if config.tile.register_flits else 0


def control_cycles(config: "Config", hops: int) -> int:
    """Request fires to a request pending at the ring-next tile, or grant fires to granted at the ring-previous tile."""
    return CONTROL_CYCLES + hops * hop_cycles(config)


def tail_cycles(config: "Config") -> int:
    """Send fires to the tail flit; as long from the header at a receiver to the tail there."""
    return payload_cycles(config) + config.slice_flits - 1


def payload_cycles(config: "Config") -> int:
    """Send fires to the first payload flit out of the slot."""
    return PAYLOAD_CYCLES + (SLOT_CYCLES + WORD_QUEUE_CYCLES if config.tile.register_slots else 0)


def register_cycles(config: "Config") -> int:
    """How much later sums come because words of slots, operands, or products, have registers more."""
    tile = config.tile
    return ((OPERAND_CYCLES if tile.register_operands else 0) + (PRODUCT_CYCLES if tile.register_products else 0)
            + (SLOT_CYCLES if tile.register_slots else 0))


def start_cycles(config: "Config") -> int:
    """How much later a slice's first word is addressed because its start has a register more."""
    return START_CYCLES if config.tile.register_starts else 0


def compute_setup_cycles(config: "Config") -> int:
    """Compute fires to the address of the slice's first word."""
    return COMPUTE_SETUP_CYCLES + start_cycles(config)


def compute_drain_cycles(config: "Config") -> int:
    """The last weight address to the compute unit drained, all results and counts of clips written."""
    return COMPUTE_DRAIN_CYCLES + register_cycles(config)


def swiglu_drain_cycles(config: "Config") -> int:
    """The last weight address of a gate-up segment to the first of its down segment: its hidden values are there."""
    return SWIGLU_DRAIN_CYCLES + config.tile.mac_n // 2 + register_cycles(config)


def compute_early_cycles(config: "Config") -> int:
    """How much sooner than a slice's last weight address the next may start: its first word follows the last."""
    return min(COMPUTE_EARLY_CYCLES + start_cycles(config), config.down_words - 1)


def result_conflicts(config: "Config") -> tuple[int, ...]:
    """Distances, from the last word of a down segment to the first of the next, at which both would use one result bank.

    Results lie in two banks by the parity of the group, and a bank reads for one group in the cycle in which it writes for
    the group ``RESULT_WRITE_CYCLES`` before. Within a segment those two groups lie in different banks. Across the border of
    two segments they may lie in the same.
    """
    words, groups = config.down_chunks, config.down_groups

    def conflict(distance: int) -> bool:
        begin = groups * words - 1 + distance
        return any((group - other) % 2 == 0 and begin + group * words - other * words == RESULT_WRITE_CYCLES
                   for group in range(min(groups, 4)) for other in range(groups - min(groups, 4), groups))
    return tuple(distance for distance in (1, 2, 3) if conflict(distance))


def replay_cycles(config: "Config") -> int:
    """Cycles in which no new frame goes because one was lost: until the nak is back, what was sent since must go again."""
    return 2 * config.link_flight_cycles + REPLAY_CYCLES

"""What the blocks that form a batch, compute it and write its results exchange; each as the first named sees it."""

from amaranth.hdl import Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.batch.layouts import BatchLayouts, Order
from trajectile.hw.formats import CHOICE_WEIGHT, CLIP_BITS, EXPONENT_BITS
from trajectile.hw.host.codes import ERRORS
from trajectile.hw.lib.signature import NamedSignature

#: descriptors that wait until the tile can begin with them
QUEUE_DEPTH = 2


class DoorbellPort(NamedSignature):
    """Host port to batch queue: a descriptor that has been found good."""

    class Interface(wiring.PureInterface):
        push: Signal
        descriptor: data.View
        level: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "push": Out(1),  #: queue ``descriptor``; only while ``level`` is less than ``QUEUE_DEPTH``
            "descriptor": Out(params.descriptor_layout),  #: what is to be done; ``rung`` is the time of this cycle
            "level": In(range(QUEUE_DEPTH + 1)),  #: descriptors that wait
        })


class StatusPort(NamedSignature):
    """Host port to batch control: what a host sees of its batches, and its wish for a reset."""

    class Interface(wiring.PureInterface):
        running: Signal
        failed: Signal
        resetting: Signal
        error: Signal
        complete: Signal
        fail: Signal
        record: Signal
        ask_reset: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "running": In(range(params.config.tile.batches + 1)),  #: batches taken from the queue, from the cycle after
            #: that to the cycle of ``complete``
            "failed": In(1),  #: an error has occurred, and no reset since
            "resetting": In(1),  #: a reset is on its way or goes on
            "error": In(len(ERRORS)),  #: which errors, one bit each in the order of ``ERRORS``
            "complete": In(1),  #: strobe: a completion record has been written
            "fail": In(1),  #: strobe: the tile fails in this cycle
            "record": In(1),  #: strobe: something in a token record is wrong
            "ask_reset": Out(1),  #: strobe: the host resets the array
        })


class InsertPort(NamedSignature):
    """Record reader to token lists: a choice of a token. ``twice`` answers in the cycle after ``insert``."""

    class Interface(wiring.PureInterface):
        look: Signal
        insert: Signal
        batch: Signal
        lane: Signal
        token: Signal
        rank: Signal
        expert: Signal
        weight: data.View
        exponent: Signal
        twice: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "look": Out(1),  #: a choice is here; whether it is legal is known later in the cycle
            "insert": Out(1),  #: it is: put the token into the list of ``expert``; everything below holds for two cycles
            "batch": Out(1),
            "lane": Out(params.lane_bits),
            "token": Out(params.token_bits),  #: index of the token in its lane
            "rank": Out(params.rank_bits),  #: which of the token's choices
            "expert": Out(params.expert_bits),  #: legal
            "weight": Out(CHOICE_WEIGHT),
            "exponent": Out(EXPONENT_BITS),  #: of the token, two's complement
            "twice": In(1),  #: the token is in this list already, and is not put there again
        })


class FillPort(NamedSignature):
    """Record reader to the token buffer: a word of activations. Always taken."""

    class Interface(wiring.PureInterface):
        write: Signal
        batch: Signal
        lane: Signal
        index: Signal
        word: data.View

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "write": Out(1),
            "batch": Out(1),
            "lane": Out(params.lane_bits),
            "index": Out(range(max(params.activation_depth, 2))),  #: ``token * gate_up_chunks + chunk``, in the lane
            "word": Out(params.activations_layout),
        })


class CountPort(NamedSignature):
    """Count exchange to token lists: passes of an expert, in the cycle after ``read``."""

    class Interface(wiring.PureInterface):
        read: Signal
        batch: Signal
        expert: Signal
        passes: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "read": Out(1),
            "batch": Out(1),
            "expert": Out(params.expert_bits),
            "passes": In(params.pass_bits),
        })


class LookUpPort(NamedSignature):
    """MAC sequencer to token lists: walks the lists of an expert, all lanes in step."""

    class Interface(wiring.PureInterface):
        find: Signal
        batch: Signal
        expert: Signal
        advance: Signal
        entry: data.View
        more: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "find": Out(1),  #: begin with the lists of an expert
            "batch": Out(1),  #: with it
            "expert": Out(params.expert_bits),  #: with it
            "advance": Out(1),  #: go on: the entry after the one that is shown is shown from the next cycle on
            "entry": In(params.pass_layout),  #: a token a lane, from two cycles after ``find`` on; zero after a list's end
            "more": In(1),  #: with it: a lane has a token after this one
        })


class ReadPort(NamedSignature):
    """Result writer or reduction to compute unit: a group of a token's results, or its clips, in the cycle after ``read``.

    One read per cycle, only of a batch that is not computed any more.
    """

    class Interface(wiring.PureInterface):
        read: Signal
        batch: Signal
        lane: Signal
        token: Signal
        group_index: Signal
        of_clips: Signal
        written: Signal
        early: Signal
        results: Signal
        clips: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "read": Out(1),
            "batch": Out(1),
            "lane": Out(params.lane_bits),
            "token": Out(params.token_bits),  #: index of the token in its lane
            "group_index": Out(bits_for(max(params.config.down_groups, 2) - 1)),
            "of_clips": Out(1),  #: read the count of clips instead
            **({
                "written": Out(1),  #: the word was put (:class:`PutPort`), so it counts even if the token is not known yet
                # Whether a word is read may be known late. So its memory is addressed without that.
                "early": Out(1),  #: a group's memory is addressed, also if nothing is read: what it has shown is gone
            } if params.config.array.shares else {}),
            "results": In(params.result_bits),  #: one cycle later; it holds until another read of results
            "clips": In(CLIP_BITS),  #: one cycle later; it holds until another read of clips
        })


class BeginPort(NamedSignature):
    """Batch control to record reader."""

    class Interface(wiring.PureInterface):
        start: Signal
        batch: Signal
        records: Signal
        tokens: Signal
        shared: Signal
        share: data.View
        lists_done: Signal
        rows_done: Signal
        bad_expert: Signal
        twice: Signal
        bad_response: Signal
        too_many: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "start": Out(1),  #: read the records of a batch; everything below is looked at in this cycle only
            "batch": Out(1),
            "records": Out(params.io_address_bits),  #: where they are, in beats
            "tokens": Out(params.batch_token_bits),
            "lists_done": In(1),  #: the last choice is put into its list in this cycle
            "rows_done": In(1),  #: the last activations are written in this cycle
            "bad_expert": In(1),  #: a choice names no expert of the layer; it was dropped
            "twice": In(1),  #: a choice names an expert twice for one token; it was dropped
            "bad_response": In(1),  #: a beat came with an error
            **({
                "shared": Out(1),  #: with ``start``: every tile holds all tokens of the batch
                "share": In(params.share_layout),  #: with ``lists_done``: where what lies; all 0 for a spread batch
                "too_many": In(1),  #: strobe: there are more tokens than a tile holds
            } if params.config.array.shares else {}),
        })


class PutPort(NamedSignature):
    """Reduction to compute unit: sums of a token of a batch that is not computed any more. The two banks of groups and the
    counts of clips are written independently, each with a place of its own.
    """

    class Interface(wiring.PureInterface):
        batch: Signal
        write: Signal
        places: data.View
        row: data.View
        words: data.View
        adopt: Signal
        unit: Signal
        known: Signal

    def __init__(self, params: BatchLayouts):
        config = params.config
        super().__init__({
            "batch": Out(1),  #: of everything
            "write": Out(3),  #: by bank: even groups, odd groups, closing word; the last makes the token known
            "places": Out(data.ArrayLayout(params.place_layout, 3)),  #: by bank: whose
            "row": Out(data.ArrayLayout(bits_for(max(params.result_stride // 2, 2) - 1), 2)),  #: by bank: ``group >> 1``
            "words": Out(data.StructLayout({
                "even": params.result_bits, "odd": params.result_bits, "clips": CLIP_BITS})),  #: by bank
            "adopt": Out(1),  #: strobe: the results' unit is this, unless the tile has computed a slice of the batch
            "unit": Out(EXPONENT_BITS),
            "known": In(config.tile.batches),  #: by batch: the unit is known
        })


class ReducePort(NamedSignature):
    """Batch control to the reduction: the batch has finished in this tile, add up the sums of all tiles."""

    class Interface(wiring.PureInterface):
        start: Signal
        batch: Signal
        tokens: Signal
        share: data.View
        summed: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "start": Out(1),  #: only when the batch before is complete; everything below is looked at in this cycle only
            "batch": Out(1),
            "tokens": Out(params.batch_token_bits),  #: of this tile
            "share": Out(params.share_layout),
            "summed": In(1),  #: strobe: this tile has sent everything, and its own tokens have their sums
        })


class FormPort(NamedSignature):
    """Batch control to the count exchange and what follows it."""

    class Interface(wiring.PureInterface):
        start: Signal
        batch: Signal
        order: Signal
        tag: Signal
        shared: Signal
        formed: Signal
        made: Signal
        disagree: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "start": Out(1),  #: this tile's lists are complete: exchange counts
            "batch": Out(1),
            "order": Out(2),
            "tag": Out(8),
            **({"shared": Out(1)} if params.config.array.shares else {}),
            "formed": In(1),  #: strobe: everybody's counts are here
            "made": In(1),  #: strobe: the last load entry of the batch that was formed last has been made
            "disagree": In(1),  #: strobe: another tile's order, tag or dataflow differs
        })


class FormedPort(NamedSignature):
    """Count exchange to expert order: that everybody's counts are here, and the counts, a word of every tile per read."""

    class Interface(wiring.PureInterface):
        formed: Signal
        order: enum.EnumView
        shared: Signal
        batch: Signal
        read: Signal
        number: Signal
        counts: data.View

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "formed": Out(1),  #: strobe: all counts of a batch are here
            "order": Out(Order),  #: with it: the batch's order
            **({"shared": Out(1)} if params.config.array.shares else {}),  #: with it: every tile has all tokens of the batch
            "batch": Out(1),  #: with it: which batch
            "read": In(1),  #: read a word
            "number": In(params.word_number_bits),  #: which
            "counts": Out(params.counts_layout),  #: a cycle later; it holds until the next read
        })


class ResultPort(NamedSignature):
    """Batch control to result writer: write the results of a batch and its completion record, or, with ``flush``, the record
    alone. Taken only while ``idle``.
    """

    class Interface(wiring.PureInterface):
        start: Signal
        flush: Signal
        batch: Signal
        descriptor: data.View
        first: data.View
        errors: Signal
        first_load: Signal
        streaming: Signal
        now: Signal
        idle: Signal
        written: Signal
        complete: Signal
        bad_response: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "start": Out(1),
            "flush": Out(1),  #: with ``start``: no results, a record of a failed batch
            "batch": Out(1),
            "descriptor": Out(params.descriptor_layout),  #: holds until ``complete``
            **({"first": Out(params.place_layout)} if params.config.array.shares else {}),  #: place of the first token
            "errors": Out(32),  #: errors of the batch; looked at when the record is written
            "first_load": Out(32),  #: cycles from the doorbell to the first load; 0: none
            "streaming": Out(32),  #: cycles from the first load to the last release
            "now": Out(32),  #: the time
            "idle": In(1),  #: nothing is being written
            "written": In(1),  #: strobe: the last beat of results goes
            "complete": In(1),  #: strobe: the completion record is answered
            "bad_response": In(1),  #: strobe: a write was answered with an error
        })

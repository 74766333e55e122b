"""Functional coverage: everything that a regression must have seen happen, each with its condition and a line of meaning.

A condition is Verilog on the signals of one module, looked at in every clock cycle in every instance of it
(:mod:`trajectile.tb.coverage`). It reads registers before the edge and what follows from them, as the design does.
"""

import re
from typing import NamedTuple

from trajectile.hw.batch.result_writer import Phase
from trajectile.hw.d2d.layouts import NEIGHBOURS, FlitKind, FrameKind
from trajectile.hw.host.codes import ERRORS, REFUSALS, Refusal


class Point(NamedTuple):
    """Something that must happen."""

    name: str
    #: module, without the prefix
    module: str
    #: Verilog expression
    when: str
    meaning: str

    @property
    def group(self) -> str:
        """The first part of the name."""
        return self.name.partition(".")[0]


def _of_ports(condition: str) -> str:
    """For some port of the router: ``{low}`` and ``{up}`` stand for its name."""
    return " | ".join(f"({condition.format(low=port.name.lower(), up=port.name)})" for port in NEIGHBOURS)


def _several(mask: str) -> str:
    """More than one bit is set."""
    return f"({mask} & ({mask} - 1)) != 0"


#: ports of the slot table, as the rule engine's conditions below call them
_SLOT_TABLE = re.compile(
    r"\b(?:allocate_here|filled|forward|from_link|(?:one|two)_free|oldest_\w+|resting|sending|todo|used)\b")
#: ports of the rule engine likewise
_ENGINE = {
    "load": "load__start", "load_valid": "load__valid", "grant": "control__grant__valid",
    "request": "control__request__valid",
    "send": "send__start", "send_cut": "send__cut", "send_escape": "events__send_escape", "sender_ready": "send__ready",
    "compute": "compute__start", "compute_slot": "compute__slot", "compute_ready": "compute__ready", "freed": "slots__freed",
}


def _rules(*points: tuple[str, str, str]) -> tuple[Point, ...]:
    def verilog(when: str) -> str:
        return re.sub(r"\w+", lambda word: _ENGINE.get(word[0], word[0]), _SLOT_TABLE.sub(r"slots__\g<0>", when))
    return tuple(Point(name, "rule_engine", verilog(when), meaning)
                 for name, when, meaning in points)


RULES = _rules(
    ("load.stop", "load & allocate_here", "rule 1: a slice is loaded where it has tokens"),
    ("load.pass", "load & ~allocate_here", "rule 1: a slice is loaded where it has none"),
    ("load.only_here", "|(used & ~from_link & ~forward & todo & ~filled)", "a slice comes from DDR that stops here only"),
    ("grant.stop", "grant & allocate_here", "a slot is granted to a slice that has tokens here"),
    ("grant.pass", "grant & ~allocate_here", "a slot is granted to a slice that passes"),
    ("grant.last_slot", "grant & ~two_free", "the last free slot is granted: the bubble moves on"),
    ("grant.end", "|(used & from_link & ~forward & ~filled)", "a slice comes that ends its way here"),
    ("grant.beside_load", "grant & load_valid & two_free", "a grant goes before a load that could fire"),
    ("turn.load", "pending & one_free & turn & two_free",
     "a grant is withheld: own slices have less than their share, a load fires"),
    ("turn.bound", "pending & one_free & turn & ~two_free",
     "a grant is withheld: a slot here is bound to be freed for a load"),
    ("request.filled", "request & filled[oldest_request]", "a slot is asked for, for a slice that is here"),
    ("request.ahead", "request & ~filled[oldest_request]", "a slot is asked for, for a slice that only arrives"),
    ("request.oldest", f"request & {_several('oldest_request_of')}", "the oldest of several slices asks"),
    ("forward.own", "send & ~send_escape & ~from_link[wanted_slot]",
     "rule 3: a slice that was loaded here goes on to a stop"),
    ("forward.store", "send & ~send_escape & ~send_cut & from_link[wanted_slot]",
     "rule 3: a slice that came goes on to a stop, out of its slot"),
    ("forward.cut", "send & ~send_escape & send_cut", "rule 3 by cut-through: a slice goes on to a stop as it arrives"),
    ("forward.uncomputed", "send & todo[wanted_slot]", "a slice is sent before it was computed here"),
    ("forward.computed", "send & ~send_cut & ~todo[wanted_slot]",
     "a slice is sent that has nothing to compute here any more"),
    ("escape.own", "send & send_escape & ~from_link[wanted_slot]",
     "rule 4: a slice that was loaded here steps to a tile that is no stop"),
    ("escape.store", "send & send_escape & ~send_cut & from_link[wanted_slot]",
     "rule 4: a slice that came and waited steps to a tile that is no stop"),
    ("escape.cut", "send & send_escape & send_cut", "rule 4 by cut-through: a slice passes without waiting"),
    ("compute.first", "compute & forward[compute_slot]", "rule 2: a slice is computed before it is sent on"),
    ("compute.after", "compute & ~forward[compute_slot]", "rule 2: a slice is computed that was sent on, or ends here"),
    ("compute.oldest", f"compute & {_several('oldest_compute_of')}", "rule 2: the oldest of several slices"),
    ("compute.beside_send", "compute & send", "computed and sent in one cycle, different slices"),
    ("release.one", "|freed", "rule 5: a slot is freed"),
    ("release.several", _several("freed"), "rule 5: several slots in one cycle"),
    ("release.passed", "|(freed & from_link)", "rule 5: the slot of a slice that came"),
    ("release.own", "|(freed & ~from_link)", "rule 5: the slot of a slice that was loaded here"),
    ("batch.both", "used_by == 3", "slices of two batches are in the slots of a tile"),
    ("batch.overtaken", "compute & |(used & filled & todo & ~rows)",
     "rule 2: a slice is computed while one of the next batch waits for its activations"),
)

WAITS = _rules(
    ("wait.two_slots", "running & load_valid & ~two_free", "a load waits for two free slots"),
    ("wait.grant_first", "running & load_valid & two_free & ~load", "a load waits for a grant of this cycle"),
    ("wait.ddr", "|(used & ~filled & ~from_link)", "a slot waits for DDR"),
    ("wait.arrival", "|(used & ~filled & from_link)", "a slot waits for a slice that was granted it"),
    ("wait.grant", "running & wanted & ~granted", "a slice waits for a slot at the ring-next tile"),
    ("wait.request", "running & wanted & |(oldest_request_of & ~(1 << wanted_slot))",
     "a slice waits: another one's request is outstanding"),
    ("wait.sender", "running & granted & ~sender_ready", "a granted slice waits for the sender"),
    ("wait.filled", "running & granted & sender_ready & ~send_cut & ~filled[wanted_slot]",
     "a granted slice waits to arrive in full"),
    ("wait.port", "running & granted & sender_ready & filled[wanted_slot] & ~resting[wanted_slot]",
     "a granted slice waits for the MAC array to let go of its slot"),
    ("wait.mac", "running & ~compute_ready & |oldest_compute_of", "a slice waits for the MAC array"),
    ("wait.rows", "running & compute_ready & |(used & filled & todo & ~rows)",
     "a slice waits for the activations of its batch"),
    ("wait.sent", "running & compute_ready & |(used & filled & todo & sending)",
     "a slice waits to be sent before it can be computed"),
    ("wait.slot", "running & pending & ~one_free", "a request waits for a free slot"),
    ("wait.turn", "running & pending & one_free & turn", "a request waits for the loader's turn"),
) + (
    Point("wait.flight", "ddr_loader", "entries__valid & ~asking & ~load__valid",
          "a load waits: as many slices as may be are in flight"),
    Point("wait.asking", "ddr_loader", "entries__valid & asking",
          "a load waits: the bursts of the one before are being asked for"),
    Point("wait.address", "ddr_loader", "ddr__arvalid & ~ddr__arready", "a burst waits for DDR to take its address"),
    Point("wait.credit", "router", "local_in__valid & own_credits == 0", "a flit waits for a credit"),
    Point("wait.link", "router", _of_ports("{low}__tx__flit__valid & ~{low}__tx__flit__ready"),
          "a flit waits for the link to take it"),
    Point("wait.overtaken", "slice_sender",
          "cutting & arriving__copy & ~lost & ~(flits__valid & flits__ready & ~flits__payload[0])",
          "on cut-through the link does not take a flit when it comes"),
    Point("wait.resumed", "slice_sender", "lost & here & cutting", "the rest of such a slice goes out of its slot"),
    Point("wait.swiglu", "mac_sequencer", "active & down & ~issue & (half ? hidden_wait_1 != 0 : hidden_wait_0 != 0)",
          "a down segment waits for its hidden values"),
    Point("wait.banks", "mac_sequencer", "active & down & ~issue & result_wait != 0",
          "a down segment waits for the result banks"),
    Point("wait.replay", "link_tx", "lanes__flit__valid & ~lanes__flit__ready & (replaying | fetched)",
          "a flit waits for a replay"),
    Point("wait.window", "link_tx", "lanes__flit__valid & ~room & ~replaying & ~fetched & ~down",
          "a flit waits for an acknowledgement: the window is full"),
    Point("wait.lane_request", "link_tx", "request_waits", "a request waits for room on its link"),
    Point("wait.lane_grant", "link_tx", "grant_waits", "a grant waits for room on its link"),
    Point("wait.lane_count", "count_fifo", "head__valid & ~head__ready", "a count word waits for room on its link"),
    Point("wait.lane_credits", "link_tx", "credits > 1", "several credits wait for room on their link"),
)

PACKETS = (
    Point("flit.header", "router", "arrival__valid & arrival__payload__head", "a header flit reaches its tile"),
    Point("flit.payload", "router", "arrival__valid & ~arrival__payload__head & ~arrival__payload__tail", "a payload flit"),
    Point("flit.tail", "router", "arrival__valid & arrival__payload__tail", "a tail flit"),
    Point("flit.record", "router", f"arrival__valid & arrival__payload__kind == {FlitKind.RECORD.value}", "one of records"),
    Point("flit.sums", "router", f"arrival__valid & arrival__payload__kind == {FlitKind.SUMS.value}", "one of sums"),
    Point("flit.through", "router", "pass_valid", "a flit passes the router of a tile between"),
    Point("flit.credit", "router", _of_ports("{low}__rx__credit"), "a credit comes back"),
    Point("flit.queued", "credit_fifo", "waiting != 0", "flits wait in the SRAM of an input"),
    Point("request.packet", "router", "control__request_in__valid", "a request reaches its tile"),
    Point("request.through", "router", "request_pass_valid", "a request passes a tile between"),
    Point("grant.packet", "router", "control__grant_in__valid", "a grant reaches its tile"),
    Point("grant.through", "router", "grant_pass_valid", "a grant passes a tile between"),
    Point("permit.record", "router", "permit_in__valid & permit_in__payload__record", "a permit for records comes"),
    Point("permit.sums", "router", "permit_in__valid & permit_in__payload__sums", "a permit for sums comes"),
    Point("permit.through", "router", "permit_pass_valid", "a permit passes a tile between"),
    Point("count.packet", "router", "count_in__valid", "a count word reaches a tile"),
    Point("count.through", "router", "count_pass_fifo__head__valid", "a count word passes a tile between"),
    Point("count.queued", "count_fifo", "waiting != 0", "several count words wait for room on a link"),
    Point("frame.idle", "link_rx", f"heard & frame__kind == {FrameKind.IDLE.value}", "an IDLE frame is heard"),
    Point("frame.data", "link_rx", "deliver", "a DATA frame is delivered"),
    Point("frame.flit", "link_rx", "deliver & frame__lanes__flit_valid", "with a flit"),
    Point("frame.request", "link_rx", "deliver & frame__lanes__request_valid", "with a request"),
    Point("frame.grant", "link_rx", "deliver & frame__lanes__grant_valid", "with a grant"),
    Point("frame.count", "link_rx", "deliver & frame__lanes__count_valid", "with a count word"),
    Point("frame.permit", "link_rx", "deliver & frame__lanes__permit_valid", "with a permit"),
    Point("frame.credit", "link_rx", "deliver & frame__lanes__credit", "with a credit"),
    Point("frame.again", "link_rx", f"heard & frame__kind == {FrameKind.DATA.value} & ~deliver & ~gap",
          "a DATA frame that was delivered before is dropped"),
    Point("frame.early", "link_rx", f"heard & frame__kind == {FrameKind.DATA.value} & ~deliver & gap",
          "a DATA frame that comes too early is dropped"),
    Point("frame.nak", "link_rx", "heard & nak", "a nak is heard"),
    Point("frame.lost", "link_rx", f"~heard & ~bad & ~down & frame__kind == {FrameKind.NOTHING.value}", "no frame comes"),
    Point("replay.nak", "link_tx", "replays & asked & deaf == 0", "a nak starts a replay"),
    Point("replay.timeout", "link_tx", "replays & ~(asked & deaf == 0)", "the clock starts a replay"),
    Point("replay.frame", "link_tx", "fetched & sends", "a DATA frame goes again"),
    Point("replay.permits", "link_tx", "record_permits > 1", "several permits for records wait for the end of a replay"),
    Point("replay.deaf", "link_tx", "asked & deaf != 0", "a nak is old news: the replay it asks for is under way"),
)

_ERROR_BITS = {name: number for number, (name, _) in enumerate(ERRORS)}
ERROR_POINTS = (
    *(Point(f"error.{name.lower()}", "batch_control", f"status__error[{_ERROR_BITS[name]}]", meaning)
      for name, meaning in ERRORS),
    Point("error.slverr", "ddr_loader", "bad_response & ddr__rresp == 2", "DDR answers SLVERR"),
    Point("error.decerr", "ddr_loader", "bad_response & ddr__rresp == 3", "DDR answers DECERR"),
    Point("error.frame", "link_rx", "bad", "a frame is spoilt: CRC or kind is wrong"),
    Point("error.irq", "host_port", "irq & irq_status_error", "the interrupt says that the tile has failed"),
    *(Point(f"refused.{code.name.lower()}", "host_port", f"refused_code == {code.value}", REFUSALS[code])
      for code in Refusal if code is not Refusal.NONE),
    Point("reset.idle", "batch_control", "status__ask_reset & ~|taken & ~descriptors__valid & ~stopped",
          "RESET of an idle array"),
    Point("reset.batch", "batch_control", "status__ask_reset & |taken & ~stopped", "RESET in the middle of a batch"),
    Point("reset.queue", "batch_control", "reset & descriptors__valid", "a descriptor waits in a reset, and gets its record"),
    Point("reset.failed", "batch_control", "status__ask_reset & status__failed", "RESET after a failure"),
    Point("reset.busy", "batch_control", "reset & ~quiet", "a reset waits for what DDR or the io port were asked"),
    Point("record.expert", "record_parser", "begin__bad_expert", "a choice names an expert that does not exist"),
    Point("record.twice", "record_parser", "begin__twice", "a token names an expert twice"),
    Point("record.choice_lost", "record_parser", "second & ~inserted & beats__payload__error",
          "a choice comes with an error"),
    Point("record.exponent_lost", "record_parser", "second & ~inserted & spoilt", "an exponent came with an error"),
    Point("record.row_lost", "record_parser", "write & beats__payload__error", "activations come with an error"),
    Point("write.given_up", "result_writer", f"phase == {Phase.RESULTS.value} & stop",
          "a failure or reset in the middle of writing results"),
    Point("write.no_bytes", "io_writer", "fills & write__wvalid", "a burst that was begun is filled up without any byte"),
    Point("write.last_refused", "result_writer", f"phase == {Phase.ANSWERS.value} & io_writer__user__quiet & stop",
          "the answer that fails the tile is the last to a batch's results"),
    Point("write.record_refused", "result_writer", f"phase == {Phase.END.value} & result__bad_response",
          "a completion record is refused"),
)
BATCHES = (
    Point("queue.waits", "batch_control", "descriptors__valid & |taken & ~stopped",
          "a descriptor waits for the batch before"),
    Point("queue.full", "batch_queue", "doorbell__level == 2", "as many descriptors wait as can"),
    Point("queue.sweep", "batch_control", "descriptors__valid & ~|taken & ~reading & ~begin__start & ~stopped",
          "a descriptor waits until token lists are empty"),
    Point("flight.both", "batch_control", "taken == 3", "two batches are in flight"),
    Point("flight.reads", "batch_control", "reading & |(taken & listed & ~done)",
          "records are read while the batch before streams"),
    Point("flight.writes", "batch_control", "writing & |(taken & listed & ~done)",
          "results are written while the next one streams"),
    Point("flight.forms", "batch_control", "taken == 3 & |(taken & made & ~done) & forming",
          "counts go round while the batch before streams"),
    Point("flight.held", "batch_control", "taken == 3 & |(taken & listed & ~made) & forming & |(listed & ~made)",
          "a batch whose lists are complete waits until the loads of the one before are made"),
    Point("finish.rows", "batch_control", "|(taken & made & ~rows)", "all loads are made before all activations are in"),
    Point("finish.empty", "batch_control", "form__formed & form__made", "a batch without any choice"),
    Point("begin.empty", "record_parser", "begin__start & begin__tokens == 0", "a tile has no token in a batch"),
    Point("begin.last_lane", "record_parser", "ends & lane != 0", "a token in a lane that is not the first"),
    Point("choice.none", "record_parser", "taken & number != 0 & &item[15:0]", "a token has fewer choices than it may"),
    Point("exchange.header", "count_exchange", "held_valid & header", "another tile's order and tag come"),
    Point("exchange.before", "count_exchange", "held_valid & ~reading & ~full",
          "another tile's counts come before this one's go"),
    Point("exchange.waits", "count_exchange", "held_valid & full", "an own word waits: another tile's goes on"),
    Point("order.index", "expert_order", "pick__valid & pick__ready & ~paired & ~balanced", "the next expert by number"),
    Point("order.paired", "expert_order", "pick__valid & pick__ready & paired", "by the most and the fewest passes in turn"),
    Point("order.balanced", "expert_order", "pick__valid & pick__ready & balanced", "so that tiles are worked alike"),
    Point("order.none", "expert_order", "nothing", "no expert has a token"),
    Point("make.full", "load_maker", "level == 4", "as many load entries wait as can"),
    Point("make.other", "load_maker", "busy & ~push & moves", "a slice comes from another tile's channel"),
    Point("io.reads_ahead", "io_reader", "waiting == 4", "as many bursts are asked for ahead as may be"),
    Point("io.read_slow", "io_reader", "read__arvalid & ~read__arready", "an address of a read waits"),
    Point("io.beat_waits", "io_reader", "read__rvalid & ~read__rready", "a beat waits until its items are taken"),
    Point("io.writes_ahead", "io_writer", "waiting == 4", "as many bursts are unanswered as may be"),
    Point("io.write_slow", "io_writer", "write__awvalid & ~write__awready", "an address of a write waits"),
    Point("io.data_slow", "io_writer", "write__wvalid & ~write__wready", "a beat that is written waits"),
    Point("io.line", "io_writer", "write__awvalid & bursts__asking & ~bursts__last", "a region takes several bursts"),
    Point("result.int", "result_pieces", "active & ~bf16 & take", "results as int32"),
    Point("result.float", "result_pieces", "active & bf16 & take", "results as bf16"),
    Point("result.waits", "result_pieces", "pieces__valid & ~pieces__ready", "a piece waits until the beat before is taken"),
    Point("complete.failed", "result_writer", "result__start & result__flush", "a record of a batch that was given up"),
    Point("complete.empty", "result_writer", "result__start & ~result__flush & result__descriptor__tokens == 0",
          "a record alone: the tile has no token"),
)
#: an item of a shared batch's records is taken
_ITEM = "walks & taken"
SHARING = (
    Point("flight.shared", "batch_control", "begin__start & begin__shared & |taken", "a shared batch begins behind another"),
    Point("flight.spread", "batch_control", "begin__start & ~begin__shared & |taken", "one that is not"),
    Point("flight.sums", "batch_control", "reduction_begun & ~summed & |(taken & listed & ~done)",
          "sums go round while the next batch streams"),
    Point("section.own", "record_ring", f"{_ITEM} & header & own", "this tile's part of records begins"),
    Point("section.come", "record_ring", f"{_ITEM} & header & ~own", "another tile's part begins"),
    Point("section.empty", "record_ring", f"{_ITEM} & header & items__payload__payload == 0", "a tile has none"),
    Point("section.ends", "record_ring", f"{_ITEM} & ~goes_on", "an item is in all tiles"),
    Point("section.room", "record_ring", "offered & goes_on & ~go__ready", "an item waits for room on its way on"),
    Point("section.late", "record_ring", "walks & ~own & ~come__valid", "this tile waits for another one's records"),
    Point("section.credit", "record_port", "places__leaves__valid & credits == 0",
          "the ring-next tile has no room for a record"),
    Point("section.flit", "record_port", "flits__valid & ~flits__ready", "a record waits until other flits have gone"),
    Point("sum.partial", "ring_reduction", "steps & partial_left != 0", "a partial sum goes"),
    Point("sum.passes", "ring_reduction", "steps & partial_left == 0", "a sum that came goes on"),
    Point("sum.bank", "ring_reduction", "|(waits & ~writes)", "a sum waits: a word that comes reads from its bank"),
    Point("sum.both", "ring_reduction", _several("writes"), "two sums are written at once"),
    Point("sum.read", "ring_reduction", "may_send & going_left != 0 & arrives", "a word that goes waits for one that comes"),
    Point("sum.again", "ring_reduction", "stands & ~steps & arrives", "a word that was read to go is read again"),
    Point("sum.behind", "ring_reduction", "may_send & going_left != 0 & partial_left == 0 & ahead == stepped",
          "nothing has come that could go on"),
    Point("sum.flit", "ring_reduction", "flits__valid & ~flits__ready", "a sum waits for slices, or for the link"),
    Point("sum.early", "ring_reduction", "permitted & ~active", "the ring-next tile has finished before this one"),
    Point("sum.permit", "ring_reduction", "active & ~may_send & going_left != 0", "this tile waits for the ring-next one"),
    Point("sum.nothing", "ring_reduction", "reduce__start & reduce__share__total == 0", "a batch has no tokens"),
    Point("sum.unit", "compute_unit", "put__adopt & put__known == 0", "a tile that has computed nothing learns the unit"),
)
MEMORY = (
    Point("memory.weights_corrected", "expert_buffer", "corrected", "a single error in a slot is corrected"),
    Point("memory.weights_wrong", "expert_buffer", "error", "an error in a slot that cannot be corrected"),
    Point("memory.activation_corrected", "lane_memory", "activation_decoder_used & activation_decoder_corrected",
          "a single error in an activation is corrected"),
    Point("memory.activation_wrong", "lane_memory", "activation_decoder_used & activation_decoder_error",
          "one in an activation that cannot"),
    Point("memory.count_corrected", "clip_counter", "clips_decoder_0_used & clips_decoder_0_corrected",
          "a single error in a count of clips is corrected"),
    Point("memory.count_wrong", "clip_counter", "clips_decoder_0_used & clips_decoder_0_error", "one in a count that cannot"),
    Point("memory.result_corrected", "lane_memory", "result_decoder_0_used & result_decoder_0_corrected",
          "a single error in a result is corrected"),
    Point("memory.result_wrong", "lane_memory", "result_decoder_0_used & result_decoder_0_error",
          "one in a result that cannot"),
)
#: ends of a rounding shift, as its amount says them, and of an int16
_LEFTMOST, _RIGHTMOST, _END = 0, 63, 2**15 - 1
#: half of the hidden buffer that is not written is a whole pass
_WHOLE = "half != write_half & row_0___magnitude != 0"
WORDS = (
    Point("word.parameters", "compute_unit", "parameters_come & parameter_word != 0", "parameters take several words"),
    Point("word.load_fills", "expert_buffer", "load_fills", "parameters are a part of a word: the last beat fills the rest"),
    Point("word.receive_fills", "expert_buffer", "receive_fills", "a flit likewise"),
    Point("word.bias", "mac_sequencer", "issue & bias", "a group ends with its biases"),
    Point("word.blocks", "mac_pe", "add & scales_0___shift != scales_1___shift", "two blocks of a word differ in scale"),
    Point("word.input_blocks", "mac_pe", "add & shifts_0_ != shifts_1_", "two blocks of activations differ in shift"),
    Point("scale.least", "mac_pe", "add & part_0_0 != 0 & scales_0___shift == 0", "a scale's shift is 0"),
    Point("scale.most", "mac_pe", "add & part_0_0 != 0 & scales_0___shift == 7", "a scale's shift is 7"),
    Point("scale.mantissa", "mac_pe", "add & part_0_0 != 0 & scales_0___mantissa == 7", "its mantissa is the largest"),
    Point("scale.input", "mac_array",
          "enable & multiply & ~first & ((shifts_0_0_ == 0 & activations_0__0___shift == 3) "
          "| (shifts_0_0_ == 3 & activations_0__0___shift == 0))",
          "one token's activations are shifted by 0 and by 3"),
)
VALUES = (
    *(Point(f"value.{name}_{end}", "swiglu_lane", f"valid_1 & {name}_amount_1 == {amount}",
            f"{name}'s sum is shifted as far as it can be, {where}")
      for name in ("gate", "up") for end, amount, where in (("left", _LEFTMOST, "up"), ("right", _RIGHTMOST, "down"))),
    *(Point(f"value.{name}_lost", "swiglu_lane", f"valid_4 & {name}_lost_4", f"{name}'s shift ends above its sum: a clip")
      for name in ("gate", "up")),
    Point("value.gate_below", "swiglu_lane", "valid_4 & gate_below", "a gate value below the format: a clip"),
    Point("value.gate_above", "swiglu_lane", f"valid_4 & gate_above & parameters__gate_max == {_END}",
          "one above it: a clip"),
    Point("value.gate_limited", "swiglu_lane", f"valid_4 & gate_above & parameters__gate_max != {_END}",
          "one above a limit of the model: no clip"),
    Point("value.up_below", "swiglu_lane", f"valid_4 & up_below & parameters__up_max == {_END}",
          "an up value below the format: a clip"),
    Point("value.up_above", "swiglu_lane", f"valid_4 & up_above & parameters__up_max == {_END}", "one above it: a clip"),
    Point("value.up_limited", "swiglu_lane", f"valid_4 & (up_below | up_above) & parameters__up_max != {_END}",
          "one beyond a limit of the model: no clip"),
    Point("value.biased", "swiglu_lane", "valid_3 & gate_bias_3 != 0 & up_bias_3 != 0", "gate and up have a bias"),
    Point("value.offset", "swiglu_lane", "valid_5 & parameters__up_offset != 0", "up has an offset"),
    Point("value.beyond", "swiglu_lane", "valid_6 & beyond_6", "a gate value beyond the table of the activation function"),
    Point("hidden.zero", "swiglu_lane", "valid_13 & ~present_13", "a hidden value is zero"),
    Point("hidden.unchosen", "swiglu_lane", "valid_12 & weight_12__exponent == 0 & leading_12 != 0",
          "because its choice's weight is, and it is not"),
    Point("hidden.carry", "swiglu_lane", "valid_13 & present_13 & scaled_13 >= 24'h800000",
          "its weight makes it a bit longer"),
    Point("hidden.top", "hidden_buffer", f"{_WHOLE} & row_0___distance == 0", "a value has its pass' largest exponent"),
    Point("hidden.away", "hidden_buffer", f"{_WHOLE} & row_0___distance > 8", "one is so far below it that nothing is left"),
    Point("hidden.end", "hidden_buffer", f"{_WHOLE} & value_0_kept == 255", "one would be rounded to 128: it is 127"),
    Point("hidden.none", "lane_memory", "add_1 & pass_exponent == 0", "a pass has no value but zero"),
)
TERMS = (
    Point("term.left", "lane_memory", f"add_5 & amount_4 == {_LEFTMOST}", "a sum of results is shifted up as far as can be"),
    Point("term.right", "lane_memory", f"add_5 & amount_4 == {_RIGHTMOST}", "one is shifted down as far as can be"),
    Point("term.lost", "lane_memory", "add_7 & lost_fine", "its shift ends above the sum: a clip"),
    Point("term.above", "lane_memory", "add_7 & |over", "a term is clipped at its largest"),
    Point("term.below", "lane_memory", "add_7 & |under", "one at its lowest"),
    Point("list.twice", "token_lists", "insert__twice", "a token has chosen an expert twice"),
    Point("list.longer", "token_lists", "insert_write & ~insert__twice & old_head__count != 0",
          "a list gets another token"),
    Point("list.ends", "token_lists", "look_up__advance & look_up__more & look_up__entry_0___valid & ~goes_on[0]",
          "lane 0's list ends before another lane's"),
    Point("list.both", "token_lists", "insert__insert & look_up__find", "a choice comes while a list is looked up"),
    Point("batch.follows", "mac_sequencer", "begin_slice & busy == 3", "a slice follows one of another batch at once"),
    Point("count.first", "clip_counter", "add & (half ? fresh_1 & count_1 != 0 : fresh_0 & count_0 != 0)",
          "a token's first clips"),
    Point("count.more", "clip_counter", "add & (half ? ~fresh_1 & count_1 != 0 : ~fresh_0 & count_0 != 0)",
          "clips are added to those of other slices"),
    Point("count.waits", "clip_counter", "(waits_0 | waits_1) & (add | write)", "a pass waits: one is being counted"),
    Point("count.end", "clip_counter", "write & written == 65535", "a count is as large as it can be"),
)
POINTS: tuple[Point, ...] = RULES + WAITS + PACKETS + ERROR_POINTS + BATCHES + SHARING + MEMORY + WORDS + VALUES + TERMS
assert len({point.name for point in POINTS}) == len(POINTS), "two points have one name"

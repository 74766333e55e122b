"""Buffers that forget: Verilog with the same ports in place of the SRAM modules of expert and token buffer."""

from collections.abc import Mapping

from trajectile.hw.formats import CLIP_BITS
from trajectile.hw.lib.sram import name_1rw
from trajectile.hw.memory.code import chunk_codes, stored_bits
from trajectile.hw.params import Params

#: blocks whose SRAM is protected
OWNERS = ("trajectile_expert_buffer", "trajectile_lane_memory", "trajectile_clip_counter")

_TEXT = """module {name} (
    input wire clk,
    input wire rst,
    input wire en,
    input wire [{lanes}-1:0] we,
    input wire [{addr_bits}-1:0] addr,
    input wire [{width}-1:0] wdata,
    output wire [{width}-1:0] rdata
);
    faulty_sram #(.DEPTH({depth}), .WIDTH({width}), .ADDR_BITS({addr_bits}), .CHUNK({chunk}), .LANES({lanes})) sram (
        .clk(clk),
        .en(en),
        .we(we),
        .addr(addr),
        .wdata(wdata),
        .rdata(rdata)
    );
endmodule
"""


def faulty_srams(modules: Mapping[str, str], params: Params) -> dict[str, str]:
    """The modules of a protected design, with ``tb/rtl/faulty_sram.v`` in its buffers; plusargs say how bad it is.

    Raises:
        ValueError: if nothing is protected, the chunks of a word differ in size, or an SRAM of that size is elsewhere too.
    """
    config, protect = params.config, params.protect
    if protect == "none":
        raise ValueError("protect = 'none' is not legal here; legal values: parity, secded")
    changed = dict(modules)
    for depth, word_bits, lanes in ((config.slice_words, params.word_bits, params.word_bits // params.lane_width),
                                    (params.activation_depth, params.activation_bits, 1),
                                    (params.result_depth // 2, params.result_bits, 1),
                                    (config.tile.lane_tokens, CLIP_BITS, 1)):
        width = stored_bits(protect, word_bits, lanes)
        chunks = {code.stored_bits for code in chunk_codes(protect, word_bits, lanes)}
        if len(chunks) != 1:
            raise ValueError(f"a word of {word_bits} bits is not legal here; legal: words of equal chunks")
        name = f"trajectile_{name_1rw(depth, width, lanes)}"
        owners = [owner for owner, text in modules.items() if f"\n  {name} " in text]
        if not owners or not set(owners) <= set(OWNERS):
            raise ValueError(f"{name} is in {owners}; legal: {', '.join(OWNERS)} only")
        changed[name] = _TEXT.format(name=name, depth=depth, width=width, addr_bits=max((depth - 1).bit_length(), 1),
                                     chunk=chunks.pop(), lanes=lanes)
    return changed

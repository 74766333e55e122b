// A single-port SRAM that forgets on purpose: of the writes, one in +sram_one_in=N (0 or absent: none) stores its lanes with
// +sram_bits=B (default 1) bits flipped, all of them in one chunk of CHUNK bits. +sram_seed=S and the place of the SRAM in the
// hierarchy decide which. A flipped bit stays until its lane is written again, so a chunk never has more than B of them.
module faulty_sram #(
    parameter DEPTH = 16,
    parameter WIDTH = 8,
    parameter ADDR_BITS = 4,
    parameter LANES = 1,  // lanes that are written by themselves
    parameter CHUNK = WIDTH / LANES  // a lane is one chunk or more
) (
    input wire clk,
    input wire en,
    input wire [LANES-1:0] we,
    input wire [ADDR_BITS-1:0] addr,
    input wire [WIDTH-1:0] wdata,
    output reg [WIDTH-1:0] rdata
);
    localparam NAME_BYTES = 256;
    localparam LANE = WIDTH / LANES;
    reg [WIDTH-1:0] words[0:DEPTH-1];
    reg [WIDTH-1:0] flips;
    reg [8*NAME_BYTES-1:0] path;
    reg [63:0] state;
    integer one_in, bits, seed, low, left, place, i;

    task draw;  // xorshift64
        begin
            state = state ^ (state << 13);
            state = state ^ (state >> 7);
            state = state ^ (state << 17);
        end
    endtask

    initial begin
        if (!$value$plusargs("sram_one_in=%d", one_in)) one_in = 0;
        if (!$value$plusargs("sram_bits=%d", bits)) bits = 1;
        if (!$value$plusargs("sram_seed=%d", seed)) seed = 0;
        $sformat(path, "%m");
        state = 64'h9E3779B97F4A7C15 * (seed + 1);
        for (i = 0; i < NAME_BYTES; i = i + 1) begin
            state = state ^ path[8*i+:8];
            draw;
        end
    end

    always @(posedge clk)
        if (en && we != 0) begin
            flips = 0;
            draw;
            if (one_in != 0 && state[62:32] % one_in == 0) begin
                low = -1;
                while (low < 0) begin
                    draw;
                    low = state[62:32] % (WIDTH / CHUNK) * CHUNK;
                    if (!we[low / LANE]) low = -1;
                end
                left = bits;
                while (left != 0) begin
                    draw;
                    place = low + state[62:32] % CHUNK;
                    if (!flips[place]) left = left - 1;
                    flips[place] = 1;
                end
            end
            for (i = 0; i < LANES; i = i + 1)
                if (we[i]) words[addr][LANE*i+:LANE] <= wdata[LANE*i+:LANE] ^ flips[LANE*i+:LANE];
        end else if (en) rdata <= words[addr];
endmodule

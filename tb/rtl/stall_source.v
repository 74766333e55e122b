// A reproducible coin: `stall` is high in a share of the cycles that the seed chooses (none while `enable` is low).
module stall_source #(
    parameter ID = 0  // different sources draw differently
) (
    input wire clk,
    input wire rst,
    input wire enable,
    input wire [31:0] seed,
    output wire stall
);
    reg [31:0] state = 1;
    wire [31:0] a = state ^ (state << 13);
    wire [31:0] b = a ^ (a >> 17);
    wire [31:0] mixed = (seed + ID + 1) * 32'd2654435761;  // never 0 for the seeds and sources in use

    always @(posedge clk)
        if (rst) state <= mixed | 32'd1;
        else state <= b ^ (b << 5);

    // from never to 7 cycles in 8, another share for each source and seed
    assign stall = enable && ({1'b0, state[30:24]} < {1'b0, mixed[31:25]}) && (state[2:0] != 3'd0);
endmodule

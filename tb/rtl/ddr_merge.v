// One DDR channel behind several read ports of a tile: bursts in the order in which their addresses come, one at a time.
//
// It stands between a tile with `ddr.ports` of more than one and a model with one port, and takes no cycle.
module ddr_merge #(
    parameter PORTS = 2,
    parameter ADDR_BITS = 32,
    parameter BEAT_BITS = 32,
    parameter QUEUE_BITS = 8,  // log2 of the bursts that may be under way
    parameter ID = 0
) (
    input wire clk,
    input wire rst,
    // of all ports, port 0 lowest
    input wire [PORTS*ADDR_BITS-1:0] all_araddr,
    input wire [PORTS*8-1:0] all_arlen,
    input wire [PORTS*3-1:0] all_arsize,
    input wire [PORTS*2-1:0] all_arburst,
    input wire [PORTS-1:0] all_arvalid,
    output wire [PORTS-1:0] all_arready,
    output wire [PORTS-1:0] all_rvalid,
    input wire [PORTS-1:0] all_rready,
    // of the channel; data, response and last go to all ports
    output wire [ADDR_BITS-1:0] araddr,
    output wire [7:0] arlen,
    output wire [2:0] arsize,
    output wire [1:0] arburst,
    output wire arvalid,
    input wire arready,
    input wire rlast,
    input wire rvalid,
    output wire rready
);
    integer number;
    reg [7:0] asks;  // the port with an address
    always @* begin
        asks = 0;
        for (number = 0; number < PORTS; number = number + 1) if (all_arvalid[number]) asks = number;
    end
    assign araddr = all_araddr[asks*ADDR_BITS+:ADDR_BITS];
    assign arlen = all_arlen[asks*8+:8];
    assign arsize = all_arsize[asks*3+:3];
    assign arburst = all_arburst[asks*2+:2];
    assign arvalid = |all_arvalid;
    assign all_arready = {{PORTS - 1{1'b0}}, arready} << asks;

    reg [7:0] order[0:2**QUEUE_BITS-1];  // the port of each burst under way
    reg [QUEUE_BITS-1:0] head, tail;
    wire [7:0] answers = order[head];
    assign all_rvalid = {{PORTS - 1{1'b0}}, rvalid} << answers;
    assign rready = all_rready[answers];
    always @(posedge clk)
        if (rst) begin
            head <= 0;
            tail <= 0;
        end else begin
            if (all_arvalid & (all_arvalid - 1'b1))
                $display("ERROR: ddr_merge %0d: two addresses at a time: %b", ID, all_arvalid);
            if (arvalid && arready) begin
                order[tail] <= asks;
                tail <= tail + 1'b1;
            end
            if (rvalid && rready && rlast) head <= head + 1'b1;
        end
endmodule

// A model of one DDR channel behind AXI4 (reads only): a given latency, one beat per cycle, bursts in order.
//
// A burst whose address is taken in cycle a has its first beat in cycle a + LATENCY, or in the cycle after the last beat of
// the burst before it, whichever is later. `stall` makes both channels hesitate at random. The memory comes from the
// hex file that the plusarg PLUSARG names; with DATA = 0 there is none and beats are zero. It begins at the byte address that
// the plusarg ddr_base names in hexadecimal, else at 0; a burst that is not all in it is an error.
//
// `fault` makes it fail, counted from when that was last 0: 1 to 3: beat `fault_at` comes with this response; 4: no beat comes
// from beat `fault_at` on; 5: no address is taken from burst `fault_at` on.
module ddr_model #(
    parameter ADDR_BITS = 32,
    parameter BEAT_BITS = 32,
    parameter BEAT_BYTES_LOG2 = 2,
    parameter LATENCY = 40,
    parameter DEPTH = 1024,  // beats
    parameter QUEUE_BITS = 8,  // log2 of the bursts that may wait
    parameter DATA = 1,
    parameter ID = 0,
    parameter PLUSARG = "ddr0=%s"
) (
    input wire clk,
    input wire rst,
    input wire stall_enable,
    input wire [31:0] stall_seed,
    input wire [2:0] fault,
    input wire [31:0] fault_at,
    input wire [ADDR_BITS-1:0] araddr,
    input wire [7:0] arlen,
    input wire [2:0] arsize,
    input wire [1:0] arburst,
    input wire arvalid,
    output wire arready,
    output reg [BEAT_BITS-1:0] rdata,
    output reg [1:0] rresp,
    output reg rlast,
    output reg rvalid,
    input wire rready
);
    reg [BEAT_BITS-1:0] mem[0:(DATA ? DEPTH - 1 : 0)];
    reg [8*1024-1:0] file;
    reg [ADDR_BITS-1:0] base;
    initial if (!$value$plusargs("ddr_base=%h", base)) base = 0;
    initial if (DATA) begin
        if ($value$plusargs(PLUSARG, file)) $readmemh(file, mem);
        else begin
            $display("ERROR: ddr_model needs +%0s", PLUSARG);
            $finish;
        end
    end

    wire stall_address, stall_data;
    stall_source #(.ID(4 * ID)) address_source (clk, rst, stall_enable, stall_seed, stall_address);
    stall_source #(.ID(4 * ID + 1)) data_source (clk, rst, stall_enable, stall_seed, stall_data);

    wire [ADDR_BITS-1:0] from_base = (araddr - base) >> BEAT_BYTES_LOG2;

    // Bursts that wait, as address in beats, last beat and the cycle from which they may answer.
    reg [ADDR_BITS-1:0] first[0:2**QUEUE_BITS-1];
    reg [7:0] length[0:2**QUEUE_BITS-1];
    reg [63:0] due[0:2**QUEUE_BITS-1];
    reg [QUEUE_BITS-1:0] head, tail;
    reg [63:0] cycle;
    reg [ADDR_BITS-1:0] beat;
    reg [7:0] left;  // beats of the burst after the one that is shown
    reg open;  // such a burst is under way
    reg [31:0] bursts, beats;  // since there was no fault
    wire late = bursts >= fault_at;
    wire silent = fault == 4 && beats >= fault_at;

    assign arready = !stall_address && (tail + 1'b1 != head) && !(fault == 5 && late);

    // What was asked for stays asked for.
    reg asked;
    reg [ADDR_BITS+7:0] asked_for;
    always @(posedge clk) begin
        asked <= !rst && arvalid && !arready;
        asked_for <= {araddr, arlen};
        if (asked && !rst && (!arvalid || asked_for != {araddr, arlen}))
            $display("ERROR: ddr_model %0d: an address is withdrawn or changed before it is taken", ID);
        if (!rst && rvalid && !rready) $display("ERROR: ddr_model %0d: a beat is not taken", ID);
    end

    always @(posedge clk)
        if (rst) begin
            head = 0;
            tail = 0;
            cycle = 0;
            open = 0;
            left = 0;
            beat = 0;
            bursts = 0;
            beats = 0;
            rresp <= 0;
            rvalid <= 0;
            rlast <= 0;
            rdata <= 0;
        end else begin
            if (arvalid && arready) begin
                bursts = bursts + 1;
                if (arburst != 2'b01 || arsize != BEAT_BYTES_LOG2)
                    $display("ERROR: ddr_model %0d: burst %0d size %0d", ID, arburst, arsize);
                if (araddr < base || from_base + arlen >= DEPTH)
                    $display("ERROR: ddr_model %0d: %0d beats from address %h on are not all in its memory", ID, arlen + 1,
                             araddr);
                first[tail] = from_base;
                length[tail] = arlen;
                due[tail] = cycle + LATENCY;
                tail = tail + 1'b1;
            end
            if (fault == 0) begin
                bursts = 0;
                beats = 0;
            end
            cycle = cycle + 1;  // from here on: the next cycle
            if (!rvalid || rready) begin
                rvalid <= 0;
                if (!open && head != tail && due[head] <= cycle) begin
                    open = 1;
                    beat = first[head];
                    left = length[head];
                    head = head + 1'b1;
                end
                if (open && !stall_data && !silent) begin
                    rvalid <= 1;
                    rresp <= fault < 4 && beats == fault_at ? fault[1:0] : 2'b00;
                    beats = beats + 1;
                    rlast <= left == 0;
                    rdata <= DATA ? mem[beat] : 0;
                    open = left != 0;
                    left = left - 1'b1;
                    beat = beat + 1'b1;
                end
            end
        end
endmodule

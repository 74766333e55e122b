// A model of the memory behind one tile's io port (AXI4): a given latency, one beat per cycle each way, bursts in order.
//
// A read burst whose address is taken in cycle a has its first beat in cycle a + LATENCY, or in the cycle after the beat before
// it was taken, whichever is later. A write is answered LATENCY cycles after its last beat was taken. `stall` makes all
// channels hesitate at random. What is read comes from the hex file that the plusarg PLUSARG names, from byte address 0 on;
// a read burst that is not all in it is an error. With the plusarg `live` the file is read again where the bench says `mark`:
// new token records for the next batch. What is written goes to a log, a line per beat: address data, in
// hexadecimal, a line "answer" when a burst has been answered, and a line "reset" at a reset, if something was written,
// and where the bench says `mark`. A beat without any byte is not logged.
//
// `fault` makes it fail, counted from when that was last 0: 1 to 3: read beat `fault_at` comes with this response; 4: no beat
// comes from beat `fault_at` on; 5: no address of a read is taken from burst `fault_at` on; 6: write burst `fault_at` is
// answered with an error; 7: no write is answered from burst `fault_at` on.
module io_model #(
    parameter ADDR_BITS = 40,
    parameter BEAT_BITS = 32,
    parameter BEAT_BYTES_LOG2 = 2,
    parameter LATENCY = 40,
    parameter DEPTH = 1024,  // beats that can be read
    parameter ID = 0,
    parameter PLUSARG = "io0=%s"
) (
    input wire clk,
    input wire rst,
    input wire mark,
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
    input wire rready,
    input wire [ADDR_BITS-1:0] awaddr,
    input wire [7:0] awlen,
    input wire [2:0] awsize,
    input wire [1:0] awburst,
    input wire awvalid,
    output wire awready,
    input wire [BEAT_BITS-1:0] wdata,
    input wire [BEAT_BITS/8-1:0] wstrb,
    input wire wlast,
    input wire wvalid,
    output wire wready,
    output reg [1:0] bresp,
    output reg bvalid,
    input wire bready
);
    localparam QUEUE_BITS = 4;  // log2 of the bursts that may wait, each way
    reg [BEAT_BITS-1:0] mem[0:DEPTH-1];
    reg [8*1024-1:0] file, prefix, records;
    integer log;
    reg live;
    initial begin
        if ($value$plusargs(PLUSARG, records)) $readmemh(records, mem);
        live = $test$plusargs("live");
        log = 0;
        if ($value$plusargs("events=%s", prefix)) begin
            $sformat(file, "%0s_io%0d.log", prefix, ID);
            log = $fopen(file, "w");
        end
    end

    wire stall_ar, stall_r, stall_aw, stall_w, stall_b;
    stall_source #(.ID(64 + 5 * ID)) ar_source (clk, rst, stall_enable, stall_seed, stall_ar);
    stall_source #(.ID(65 + 5 * ID)) r_source (clk, rst, stall_enable, stall_seed, stall_r);
    stall_source #(.ID(66 + 5 * ID)) aw_source (clk, rst, stall_enable, stall_seed, stall_aw);
    stall_source #(.ID(67 + 5 * ID)) w_source (clk, rst, stall_enable, stall_seed, stall_w);
    stall_source #(.ID(68 + 5 * ID)) b_source (clk, rst, stall_enable, stall_seed, stall_b);

    // What was offered stays offered, as it is.
    reg asked, told, gave;
    reg [ADDR_BITS+7:0] asked_for, told_of;
    reg [BEAT_BITS:0] given;
    always @(posedge clk) begin
        asked <= !rst && arvalid && !arready;
        asked_for <= {araddr, arlen};
        told <= !rst && awvalid && !awready;
        told_of <= {awaddr, awlen};
        gave <= !rst && wvalid && !wready;
        given <= {wlast, wdata};
        if (!rst) begin
            if (asked && (!arvalid || asked_for != {araddr, arlen}))
                $display("ERROR: io_model %0d: a read is withdrawn or changed before it is taken", ID);
            if (told && (!awvalid || told_of != {awaddr, awlen}))
                $display("ERROR: io_model %0d: a write is withdrawn or changed before it is taken", ID);
            if (gave && (!wvalid || given != {wlast, wdata}))
                $display("ERROR: io_model %0d: a beat is withdrawn or changed before it is taken", ID);
        end
    end

    // Reads: bursts that wait, as address in beats, last beat and the cycle from which they may answer.
    reg [ADDR_BITS-1:0] first[0:2**QUEUE_BITS-1];
    reg [7:0] length[0:2**QUEUE_BITS-1];
    reg [63:0] due[0:2**QUEUE_BITS-1];
    reg [QUEUE_BITS-1:0] head, tail;
    reg [63:0] cycle;
    reg [ADDR_BITS-1:0] beat;
    reg [7:0] left;  // beats of the burst after the one that is shown
    reg open;  // such a burst is under way
    reg [31:0] bursts, beats;  // since there was no fault
    assign arready = !stall_ar && (tail + 1'b1 != head) && !(fault == 5 && bursts >= fault_at);
    // Writes: addresses that wait for their data, answers that are due.
    reg [ADDR_BITS-1:0] write_first[0:2**QUEUE_BITS-1];
    reg [7:0] write_length[0:2**QUEUE_BITS-1];
    reg [QUEUE_BITS-1:0] write_head, write_tail;
    reg [63:0] answer_due[0:2**QUEUE_BITS-1];
    reg [QUEUE_BITS-1:0] answer_head, answer_tail;
    reg [8:0] written;  // beats of the burst
    reg [31:0] writes;  // answered since there was no fault
    assign awready = !stall_aw && (write_tail + 1'b1 != write_head);
    // it waits for the address
    assign wready = !stall_w && (answer_tail + 1'b1 != answer_head) && (write_head != write_tail || (awvalid && awready));

    reg active;  // something was written since the last reset
    initial active = 0;

    always @(posedge clk)
        if (rst) begin
            if ((active || mark) && log != 0) begin
                $fwrite(log, "reset\n");
                $fflush(log);
            end
            active = 0;
            head = 0;
            tail = 0;
            cycle = 0;
            open = 0;
            left = 0;
            beat = 0;
            bursts = 0;
            beats = 0;
            write_head = 0;
            write_tail = 0;
            answer_head = 0;
            answer_tail = 0;
            written = 0;
            writes = 0;
            rresp <= 0;
            rvalid <= 0;
            rlast <= 0;
            rdata <= 0;
            bresp <= 0;
            bvalid <= 0;
        end else begin
            if (mark) begin
                if (log != 0) begin
                    $fwrite(log, "reset\n");
                    $fflush(log);
                end
                active = 0;
                if (live) $readmemh(records, mem);
            end
            if (arvalid && arready) begin
                bursts = bursts + 1;
                if (arburst != 2'b01 || arsize != BEAT_BYTES_LOG2 || (araddr & ((1 << BEAT_BYTES_LOG2) - 1)) != 0)
                    $display("ERROR: io_model %0d: read burst %0d size %0d at %h", ID, arburst, arsize, araddr);
                if ((araddr >> 12) != ((araddr + ((arlen + 40'd1) << BEAT_BYTES_LOG2) - 40'd1) >> 12))
                    $display("ERROR: io_model %0d: %0d beats read from %h on cross a 4 KiB line", ID, arlen + 1, araddr);
                if ((araddr >> BEAT_BYTES_LOG2) + arlen >= DEPTH)
                    $display("ERROR: io_model %0d: %0d beats from address %h on are not all in its memory", ID, arlen + 1,
                             araddr);
                first[tail] = araddr >> BEAT_BYTES_LOG2;
                length[tail] = arlen;
                due[tail] = cycle + LATENCY;
                tail = tail + 1'b1;
            end
            if (awvalid && awready) begin
                if (awburst != 2'b01 || awsize != BEAT_BYTES_LOG2 || (awaddr & ((1 << BEAT_BYTES_LOG2) - 1)) != 0)
                    $display("ERROR: io_model %0d: write burst %0d size %0d at %h", ID, awburst, awsize, awaddr);
                if ((awaddr >> 12) != ((awaddr + ((awlen + 40'd1) << BEAT_BYTES_LOG2) - 40'd1) >> 12))
                    $display("ERROR: io_model %0d: %0d beats written from %h on cross a 4 KiB line", ID, awlen + 1, awaddr);
                write_first[write_tail] = awaddr;
                write_length[write_tail] = awlen;
                write_tail = write_tail + 1'b1;
            end
            if (wvalid && wready) begin
                if (wstrb != {BEAT_BITS/8{1'b1}} && wstrb != 0)
                    $display("ERROR: io_model %0d: a write leaves out a byte", ID);
                if (wlast != (written == write_length[write_head]))
                    $display("ERROR: io_model %0d: wlast is %0d with beat %0d of %0d", ID, wlast, written,
                             write_length[write_head] + 1);
                active = 1;
                if (log != 0 && wstrb != 0)
                    $fwrite(log, "%h %h\n", write_first[write_head] + (written << BEAT_BYTES_LOG2), wdata);
                written = written + 1;
                if (wlast) begin
                    answer_due[answer_tail] = cycle + LATENCY;
                    answer_tail = answer_tail + 1'b1;
                    write_head = write_head + 1'b1;
                    written = 0;
                end
            end
            if (fault == 0) begin
                bursts = 0;
                beats = 0;
                writes = 0;
            end
            if (bvalid && bready && log != 0) begin
                $fwrite(log, "answer %0d\n", bresp);
                $fflush(log);
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
                if (open && !stall_r && !(fault == 4 && beats >= fault_at)) begin
                    rvalid <= 1;
                    rresp <= fault < 4 && beats == fault_at ? fault[1:0] : 2'b00;
                    beats = beats + 1;
                    rlast <= left == 0;
                    rdata <= mem[beat];
                    open = left != 0;
                    left = left - 1'b1;
                    beat = beat + 1'b1;
                end
            end
            if (!bvalid || bready) begin
                bvalid <= 0;
                if (answer_head != answer_tail && answer_due[answer_head] <= cycle && !stall_b
                        && !(fault == 7 && writes >= fault_at)) begin
                    bvalid <= 1;
                    bresp <= fault == 6 && writes == fault_at ? 2'b10 : 2'b00;
                    writes = writes + 1;
                    answer_head = answer_head + 1'b1;
                end
            end
        end
endmodule

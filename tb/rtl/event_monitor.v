// Writes what the rules of one tile do into a log, a line per event: cycle kind slot expert index flags.
// Cycle 0 is the first cycle of a batch. A batch ends with a line: cycles end 0 0 0 0; so does one that a reset cuts off.
module event_monitor #(
    parameter TILE = 0,
    parameter SLOTS = 2,
    parameter SLOT_BITS = 1,
    parameter EXPERT_BITS = 1,
    parameter INDEX_BITS = 1
) (
    input wire clk,
    input wire rst,
    input wire running,
    input wire load,
    input wire [SLOT_BITS-1:0] load_slot,
    input wire [EXPERT_BITS-1:0] load_expert,
    input wire [INDEX_BITS-1:0] load_index,
    input wire loaded,
    input wire [SLOT_BITS-1:0] loaded_slot,
    input wire grant,
    input wire [SLOT_BITS-1:0] grant_slot,
    input wire [EXPERT_BITS-1:0] grant_expert,
    input wire [INDEX_BITS-1:0] grant_index,
    input wire arrived,
    input wire [SLOT_BITS-1:0] arrived_slot,
    input wire compute,
    input wire [SLOT_BITS-1:0] compute_slot,
    input wire computed,
    input wire [SLOT_BITS-1:0] computed_slot,
    input wire send,
    input wire [SLOT_BITS-1:0] send_slot,
    input wire send_escape,
    input wire send_cut,
    input wire sent,
    input wire [SLOT_BITS-1:0] sent_slot,
    input wire [SLOTS-1:0] released
);
    integer log, slot;
    reg [63:0] cycle;
    reg was_running;
    reg [8*1024-1:0] prefix, name;

    initial begin
        log = 0;
        was_running = 0;
        if ($value$plusargs("events=%s", prefix)) begin
            $sformat(name, "%0s%0d.log", prefix, TILE);
            log = $fopen(name, "w");
        end
    end

    always @(posedge clk)
        if (rst) begin
            if (log != 0 && was_running) begin
                $fwrite(log, "%0d end 0 0 0 0\n", cycle);
                $fflush(log);
            end
            cycle <= 0;
            was_running <= 0;
        end else if (running || was_running) begin
            was_running <= running;
            cycle <= running ? cycle + 1 : 0;
            if (log != 0 && running) begin
                if (load) $fwrite(log, "%0d load %0d %0d %0d 0\n", cycle, load_slot, load_expert, load_index);
                if (loaded) $fwrite(log, "%0d loaded %0d 0 0 0\n", cycle, loaded_slot);
                if (grant) $fwrite(log, "%0d grant %0d %0d %0d 0\n", cycle, grant_slot, grant_expert, grant_index);
                if (arrived) $fwrite(log, "%0d arrived %0d 0 0 0\n", cycle, arrived_slot);
                if (compute) $fwrite(log, "%0d compute %0d 0 0 0\n", cycle, compute_slot);
                if (computed) $fwrite(log, "%0d computed %0d 0 0 0\n", cycle, computed_slot);
                if (send) $fwrite(log, "%0d send %0d 0 0 %0d\n", cycle, send_slot, {send_cut, send_escape});
                if (sent) $fwrite(log, "%0d sent %0d 0 0 0\n", cycle, sent_slot);
                for (slot = 0; slot < SLOTS; slot = slot + 1)
                    if (released[slot]) $fwrite(log, "%0d release %0d 0 0 0\n", cycle, slot);
            end
            if (log != 0 && !running) begin
                $fwrite(log, "%0d end 0 0 0 0\n", cycle);
                $fflush(log);
            end
        end
endmodule

// Writes what happens in one tile into a log, a line per event: cycle kind slot expert index flags. Cycles count from the end of
// the reset. A line "cycle reset 0 0 0 0" ends a run: at a reset, if there was an event, and where the bench says `mark`.
//
// Flags: of `load` and `grant` the batch's bit; of `send` 1 for escape and 2 for cut-through.
module event_monitor #(
    parameter TILE = 0,
    parameter SLOTS = 2,
    parameter SLOT_BITS = 1,
    parameter EXPERT_BITS = 1,
    parameter INDEX_BITS = 1
) (
    input wire clk,
    input wire rst,
    input wire mark,
    input wire load,
    input wire [SLOT_BITS-1:0] load_slot,
    input wire [EXPERT_BITS-1:0] load_expert,
    input wire [INDEX_BITS-1:0] load_index,
    input wire load_batch,
    input wire loaded,
    input wire [SLOT_BITS-1:0] loaded_slot,
    input wire grant,
    input wire [SLOT_BITS-1:0] grant_slot,
    input wire [EXPERT_BITS-1:0] grant_expert,
    input wire [INDEX_BITS-1:0] grant_index,
    input wire grant_batch,
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
    input wire [SLOTS-1:0] released,
    input wire doorbell,
    input wire begun,
    input wire lists,
    input wire rows,
    input wire count,
    input wire formed,
    input wire pick,
    input wire [EXPERT_BITS-1:0] pick_expert,
    input wire finished,
    input wire summed,
    input wire written,
    input wire complete
);
    integer log, slot;
    reg [63:0] cycle;
    reg active;  // there was an event since the reset
    reg [8*1024-1:0] prefix, name;

    initial begin
        log = 0;
        cycle = 0;
        active = 0;
        if ($value$plusargs("events=%s", prefix)) begin
            $sformat(name, "%0s%0d.log", prefix, TILE);
            log = $fopen(name, "w");
        end
    end

    // Most cycles have no event.
    wire any = load || loaded || grant || arrived || compute || computed || send || sent || |released
        || doorbell || begun || lists || rows || count || formed || pick || finished || summed || written || complete;

    always @(posedge clk)
        if (rst) begin
            if (log != 0 && (active || mark)) begin
                $fwrite(log, "%0d reset 0 0 0 0\n", cycle);
                $fflush(log);
            end
            cycle <= 0;
            active <= 0;
        end else begin
            cycle <= cycle + 1;
            if (mark) begin
                if (log != 0) begin
                    $fwrite(log, "%0d reset 0 0 0 0\n", cycle);
                    $fflush(log);
                end
                active <= 0;
            end else if (any && log != 0) begin
                active <= 1;
                if (doorbell) $fwrite(log, "%0d doorbell 0 0 0 0\n", cycle);
                if (begun) $fwrite(log, "%0d begin 0 0 0 0\n", cycle);
                if (lists) $fwrite(log, "%0d lists 0 0 0 0\n", cycle);
                if (rows) $fwrite(log, "%0d rows 0 0 0 0\n", cycle);
                if (count) $fwrite(log, "%0d count 0 0 0 0\n", cycle);
                if (formed) $fwrite(log, "%0d formed 0 0 0 0\n", cycle);
                if (pick) $fwrite(log, "%0d pick 0 %0d 0 0\n", cycle, pick_expert);
                if (load)
                    $fwrite(log, "%0d load %0d %0d %0d %0d\n", cycle, load_slot, load_expert, load_index, load_batch);
                if (loaded) $fwrite(log, "%0d loaded %0d 0 0 0\n", cycle, loaded_slot);
                if (grant)
                    $fwrite(log, "%0d grant %0d %0d %0d %0d\n", cycle, grant_slot, grant_expert, grant_index, grant_batch);
                if (arrived) $fwrite(log, "%0d arrived %0d 0 0 0\n", cycle, arrived_slot);
                if (compute) $fwrite(log, "%0d compute %0d 0 0 0\n", cycle, compute_slot);
                if (computed) $fwrite(log, "%0d computed %0d 0 0 0\n", cycle, computed_slot);
                if (send) $fwrite(log, "%0d send %0d 0 0 %0d\n", cycle, send_slot, {send_cut, send_escape});
                if (sent) $fwrite(log, "%0d sent %0d 0 0 0\n", cycle, sent_slot);
                for (slot = 0; slot < SLOTS; slot = slot + 1)
                    if (released[slot]) $fwrite(log, "%0d release %0d 0 0 0\n", cycle, slot);
                if (finished) $fwrite(log, "%0d finished 0 0 0 0\n", cycle);
                if (summed) $fwrite(log, "%0d summed 0 0 0 0\n", cycle);
                if (written) $fwrite(log, "%0d written 0 0 0 0\n", cycle);
                if (complete) begin
                    $fwrite(log, "%0d complete 0 0 0 0\n", cycle);
                    $fflush(log);
                end
            end
        end
endmodule

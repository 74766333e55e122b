// One direction of a PHY that goes wrong on purpose: a pipeline of LATENCY cycles whose frames of WIDTH bits are flipped, lost,
// repeated, stuck or silenced as the file +faults=FILE says (tb/faults.py writes it and reads what comes back).
//
// bench_top.fault_run chooses the run of that file, 0 is none; in the cycle in which it changes, cycle 0 of the run begins. A
// line of the file is "run name seed" and the numbers that `load_plan` reads, in that order; a line is this link's if the
// end of its hierarchical name is `name`. At the end of a run a line "run name cycles hurt bits errors bursts drops repeats
// stuck dead" is added to +fault_log=FILE: frames that went wrong, flipped bits, and how often each fault struck.
//
// Whether a fault strikes is drawn as the distance to the next one, so that what never happens costs nothing.
module faulty_link #(
    parameter WIDTH = 8,
    parameter LATENCY = 1
) (
    input wire clk,
    input wire rst,
    input wire [WIDTH-1:0] near,
    output reg [WIDTH-1:0] far
);
    localparam NAME_BYTES = 256;
    localparam BACK = 16;  // frames that are kept to be repeated

    reg [8*NAME_BYTES-1:0] path, wanted, plan_file, log_file;
    integer file, line_run, line_found;
    reg [31:0] run;
    reg [63:0] cycle;

    // the plan
    real ber, errors_rate, burst_rate, drop_rate, repeat_rate;
    real line_ber, line_errors, line_burst, line_drop, line_repeat;
    reg [63:0] line_seed, stuck_from, stuck_to, dead_from, dead_to;
    reg [63:0] line_stuck_from, line_stuck_to, line_dead_from, line_dead_to;
    integer errors_bits, burst_bits, repeat_back, dead_value;
    integer line_errors_bits, line_burst_bits, line_repeat_back, line_low, line_high, line_stuck_value, line_dead_value;
    reg [WIDTH-1:0] stuck_mask, stuck_ones;

    // what is to come: bits or frames until the next fault of a kind
    reg [63:0] bit_gap, errors_gap, burst_gap, drop_gap, repeat_gap;
    integer burst_left, burst_at;

    // what has happened
    integer hurt, bits, errors, bursts, drops, repeats, stuck, dead;

    reg [63:0] state, random;
    reg [WIDTH-1:0] sent, flips, noise, history[0:BACK-1];
    reg [3:0] newest, older;
    integer i, position;
    reg same;

    task draw;  // xorshift64*
        begin
            state = state ^ (state >> 12);
            state = state ^ (state << 25);
            state = state ^ (state >> 27);
            random = state * 64'h2545F4914F6CDD1D;
        end
    endtask

    // How many times a coin of the given probability shows tails before it shows heads; 2^62 if it never does.
    task draw_gap(input real probability, output reg [63:0] gap);
        begin
            if (probability <= 0.0) gap = 64'h4000_0000_0000_0000;
            else begin
                draw;
                gap = $floor($ln(((random >> 11) + 0.5) / 9007199254740992.0) / $ln(1.0 - probability));
            end
        end
    endtask

    task load_plan;
        begin
            ber = 0.0;
            errors_rate = 0.0;
            burst_rate = 0.0;
            drop_rate = 0.0;
            repeat_rate = 0.0;
            errors_bits = 1;
            burst_bits = 1;
            repeat_back = 1;
            dead_value = 0;
            stuck_mask = 0;
            stuck_ones = 0;
            stuck_from = 0;
            stuck_to = 0;
            dead_from = 0;
            dead_to = 0;
            state = 1;
            file = 0;
            if ($value$plusargs("faults=%s", plan_file)) file = $fopen(plan_file, "r");
            if (file == 0) begin
                $display("ERROR: faulty_link cannot read its +faults=FILE");
                $finish;
            end
            line_found = file == 0 ? 0 : 19;
            while (line_found == 19) begin
                line_found = $fscanf(
                    file, "%d %s %d %f %f %d %f %d %f %f %d %d %d %d %d %d %d %d %d", line_run, wanted, line_seed, line_ber,
                    line_errors, line_errors_bits, line_burst, line_burst_bits, line_drop, line_repeat, line_repeat_back,
                    line_low, line_high, line_stuck_value, line_stuck_from, line_stuck_to, line_dead_value, line_dead_from,
                    line_dead_to);
                same = line_found == 19 && line_run == run;
                for (i = 0; i < NAME_BYTES; i = i + 1)
                    if (wanted[8*i+:8] != 0 && wanted[8*i+:8] != path[8*i+:8]) same = 0;
                if (same) begin
                    state = line_seed;
                    ber = line_ber;
                    errors_rate = line_errors;
                    errors_bits = line_errors_bits;
                    burst_rate = line_burst;
                    burst_bits = line_burst_bits;
                    drop_rate = line_drop;
                    repeat_rate = line_repeat;
                    repeat_back = line_repeat_back;
                    for (i = 0; i < WIDTH; i = i + 1) begin
                        stuck_mask[i] = i >= line_low && i <= line_high;
                        stuck_ones[i] = stuck_mask[i] && line_stuck_value != 0;
                    end
                    stuck_from = line_stuck_from;
                    stuck_to = line_stuck_to;
                    dead_value = line_dead_value;
                    dead_from = line_dead_from;
                    dead_to = line_dead_to;
                end
            end
            if (file != 0) $fclose(file);
            draw_gap(ber, bit_gap);
            draw_gap(errors_rate, errors_gap);
            draw_gap(burst_rate, burst_gap);
            draw_gap(drop_rate, drop_gap);
            draw_gap(repeat_rate, repeat_gap);
        end
    endtask

    task report;
        if ($value$plusargs("fault_log=%s", log_file)) begin
            file = $fopen(log_file, "a");
            $fwrite(file, "%0d %0s %0d %0d %0d %0d %0d %0d %0d %0d %0d\n", run, path, cycle, hurt, bits, errors, bursts, drops,
                    repeats, stuck, dead);
            $fclose(file);
        end
    endtask

    task forget;
        begin
            cycle = 0;
            burst_left = 0;
            hurt = 0;
            bits = 0;
            errors = 0;
            bursts = 0;
            drops = 0;
            repeats = 0;
            stuck = 0;
            dead = 0;
        end
    endtask

    // `sent` on its way: from good to bad.
    task strike;
        begin
            if (repeat_gap == 0) begin
                draw;
                older = newest - random[35:32] % repeat_back;
                sent = history[older];
                repeats = repeats + 1;
                draw_gap(repeat_rate, repeat_gap);
            end else repeat_gap = repeat_gap - 1;
            if (drop_gap == 0) begin
                sent = 0;
                drops = drops + 1;
                draw_gap(drop_rate, drop_gap);
            end else drop_gap = drop_gap - 1;

            flips = 0;
            while (bit_gap < WIDTH) begin
                flips[bit_gap] = 1;
                position = bit_gap;
                draw_gap(ber, bit_gap);
                bit_gap = bit_gap + position + 1;
            end
            bit_gap = bit_gap - WIDTH;
            if (errors_gap == 0) begin
                i = 0;
                noise = 0;
                while (i < errors_bits && i < WIDTH) begin
                    draw;
                    position = random[62:32] % WIDTH;
                    if (!noise[position]) i = i + 1;
                    noise[position] = 1;
                end
                flips = flips ^ noise;
                errors = errors + 1;
                draw_gap(errors_rate, errors_gap);
            end else errors_gap = errors_gap - 1;
            if (burst_gap == 0) begin
                draw;
                burst_at = random[62:32] % WIDTH;
                burst_left = burst_bits;
                bursts = bursts + 1;
                flips[burst_at] = !flips[burst_at];
                burst_at = burst_at + 1;
                burst_left = burst_left - 1;
                draw_gap(burst_rate, burst_gap);
            end else burst_gap = burst_gap - 1;
            if (burst_left != 0) begin
                while (burst_left != 0 && burst_at < WIDTH) begin
                    draw;
                    if (random[63] || burst_left == 1) flips[burst_at] = !flips[burst_at];
                    burst_at = burst_at + 1;
                    burst_left = burst_left - 1;
                end
                burst_at = 0;
            end
            if (flips != 0) begin
                for (i = 0; i < WIDTH; i = i + 1) if (flips[i]) bits = bits + 1;
                sent = sent ^ flips;
            end

            if (cycle >= stuck_from && cycle < stuck_to) begin
                if (((sent & ~stuck_mask) | stuck_ones) != sent) stuck = stuck + 1;
                sent = (sent & ~stuck_mask) | stuck_ones;
            end
            if (cycle >= dead_from && cycle < dead_to) begin
                dead = dead + 1;
                sent = dead_value == 1 ? {WIDTH{1'b1}} : {WIDTH{1'b0}};
                if (dead_value == 2)
                    for (i = 0; i < WIDTH; i = i + 1) begin
                        draw;
                        sent[i] = random[63];
                    end
            end
            if (sent != near) hurt = hurt + 1;
            cycle = cycle + 1;
        end
    endtask

    initial begin
        $sformat(path, "%m");
        run = 0;
        newest = 0;
        for (i = 0; i < BACK; i = i + 1) history[i] = 0;
        forget;
    end

    // The pipeline: the output register, and a ring of LATENCY - 1 frames before it.
    localparam RING = LATENCY > 1 ? LATENCY - 1 : 1;
    reg [WIDTH-1:0] ring[0:RING-1];
    integer at;
    initial at = 0;

    always @(posedge clk) begin
        if (run != bench_top.fault_run) begin
            if (run != 0) report;
            run = bench_top.fault_run;
            forget;
            if (run != 0) load_plan;
        end
        sent = near;
        if (run != 0) strike;
        newest = newest + 1'b1;
        history[newest] = near;
        if (rst) begin
            far <= 0;
            for (at = 0; at < RING; at = at + 1) ring[at] = 0;
            at = 0;
        end else begin
            far <= LATENCY == 1 ? sent : ring[at];
            ring[at] = sent;
            at = at == RING - 1 ? 0 : at + 1;
        end
    end
endmodule

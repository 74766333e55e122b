// What is behind one link layer in the goodput bench: a router that always has a flit to send, and a scoreboard.
//
// Flits go as long as there are credits; each that comes gives one back, two cycles later as the input FIFO of a router does.
// A count word goes with every flit. A request goes as soon as the last was granted; each that comes is granted. Contents follow
// from lane and number, so that the scoreboard of the far end knows what must come next: `wrong` counts what differs, comes
// twice or comes unasked, and where a flit is left out.
// With a permit lane, a permit for sums goes with every grant, and one for records with so many of the credits that eight are
// under way at the most; the bench compares how many were given and have come.
module link_end #(
    parameter FLIT_BITS = 8,
    parameter REQUEST_BITS = 8,
    parameter GRANT_BITS = 8,
    parameter COUNT_BITS = 8,
    parameter PERMIT_BITS = 0,  // 2 with a permit lane
    parameter CREDITS = 8
) (
    input wire clk,
    input wire rst,
    input wire run,  // send something new
    input wire counting,  // count what comes
    output wire flit_valid,
    output wire [FLIT_BITS-1:0] flit,
    input wire flit_ready,
    output reg request_valid,
    output reg [REQUEST_BITS-1:0] request,
    output reg grant_valid,
    output reg [GRANT_BITS-1:0] grant,
    output wire count_valid,
    output wire [COUNT_BITS-1:0] count,
    output wire permit_valid,
    output wire [1:0] permit,
    output reg credit,
    input wire rx_flit_valid,
    input wire [FLIT_BITS-1:0] rx_flit,
    input wire rx_request_valid,
    input wire [REQUEST_BITS-1:0] rx_request,
    input wire rx_grant_valid,
    input wire [GRANT_BITS-1:0] rx_grant,
    input wire rx_count_valid,
    input wire [COUNT_BITS-1:0] rx_count,
    input wire rx_permit_valid,
    input wire [1:0] rx_permit,
    input wire rx_credit,
    output reg [63:0] counted,  // flits that came while `count`
    output reg [63:0] taken,  // flits sent
    output reg [63:0] received,  // flits that came or were left out
    output reg [63:0] given,  // permits for records sent
    output reg [63:0] permitted,  // those that came
    output reg [63:0] wrong,
    output wire quiet  // all credits are back, nothing is asked for
);
    localparam SHARE = (CREDITS + 7) / 8;  // credits for each permit
    reg [31:0] left, until_permit;
    reg shown, asked, came;
    reg [63:0] requests, granted, grants;

    function [63:0] mix(input [63:0] number);
        begin
            mix = (number + 1) * 64'h9E3779B97F4A7C15;
            mix = (mix ^ (mix >> 30)) * 64'hBF58476D1CE4E5B9;
            mix = mix ^ (mix >> 27);
        end
    endfunction
    function [FLIT_BITS-1:0] flit_of(input [63:0] number);
        flit_of = {(FLIT_BITS / 64 + 1) {mix(number)}};
    endfunction
    function [REQUEST_BITS-1:0] request_of(input [63:0] number);
        request_of = {(REQUEST_BITS / 64 + 1) {mix(~number)}};
    endfunction
    function [GRANT_BITS-1:0] grant_of(input [63:0] number);
        grant_of = {(GRANT_BITS / 64 + 1) {mix(~number) >> 32}};
    endfunction
    function [COUNT_BITS-1:0] count_of(input [63:0] number);
        count_of = {(COUNT_BITS / 64 + 1) {mix(number) >> 16}};
    endfunction

    // The flit after the one that must come: that one is gone, and the rest is right.
    wire skips = rx_flit_valid && rx_flit != flit_of(received) && rx_flit == flit_of(received + 1);

    assign flit_valid = left != 0 && (run || shown);
    assign flit = flit_of(taken);
    assign count_valid = flit_valid;
    assign count = count_of(taken);
    assign permit = {grant_valid, credit && until_permit == 0};  // sums, record
    assign permit_valid = permit != 0;
    wire rx_record = PERMIT_BITS != 0 && rx_permit_valid && rx_permit[0];
    wire rx_sums = PERMIT_BITS != 0 && rx_permit_valid && rx_permit[1];
    assign quiet = left == CREDITS && !asked && !shown;

    always @(posedge clk)
        if (rst) begin
            left <= CREDITS;
            until_permit <= 0;
            given <= 0;
            permitted <= 0;
            shown <= 0;
            asked <= 0;
            came <= 0;
            credit <= 0;
            request_valid <= 0;
            grant_valid <= 0;
            request <= 0;
            grant <= 0;
            requests <= 0;
            granted <= 0;
            grants <= 0;
            counted <= 0;
            taken <= 0;
            received <= 0;
            wrong <= 0;
        end else begin
            shown <= flit_valid && !flit_ready;
            taken <= taken + (flit_valid && flit_ready);
            left <= left + rx_credit - (flit_valid && flit_ready);
            came <= rx_flit_valid;
            credit <= came;
            if (credit) until_permit <= until_permit == 0 ? SHARE - 1 : until_permit - 1;
            given <= given + (PERMIT_BITS != 0 && permit[0]);
            permitted <= permitted + rx_record;
            received <= received + rx_flit_valid + skips;
            counted <= counted + (rx_flit_valid && counting);

            request_valid <= run && !asked;
            if (run && !asked) begin
                request <= request_of(requests);
                requests <= requests + 1;
                asked <= 1;
            end else if (rx_grant_valid) asked <= 0;
            granted <= granted + rx_grant_valid;
            grant_valid <= rx_request_valid;
            grant <= grant_of(grants);
            grants <= grants + rx_request_valid;

            wrong <= wrong + (rx_flit_valid && rx_flit != flit_of(received))
                           + (rx_count_valid && rx_count != count_of(received + skips))
                           + (rx_flit_valid != rx_count_valid)
                           + (rx_request_valid && rx_request != request_of(grants))
                           + (rx_grant_valid && (rx_grant != grant_of(granted) || !asked))
                           + (PERMIT_BITS != 0 && rx_sums != rx_grant_valid)
                           + (rx_credit && left >= CREDITS);
        end
endmodule

// Multiplications that a DSP block would only slow down: by a constant, or by a number of few bits. They become sums of
// shifts. For Yosys' techmap, before synth_ecp5 gives every multiplication of two bits or more a block.
(* techmap_celltype = "$mul" *)
module _trajectile_small_product (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter [B_WIDTH-1:0] _TECHMAP_CONSTMSK_B_ = 0;
  parameter [B_WIDTH-1:0] _TECHMAP_CONSTVAL_B_ = 0;
  localparam MOST = 3;  // bits of a number
  localparam FIXED = &_TECHMAP_CONSTMSK_B_;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire _TECHMAP_FAIL_ = A_SIGNED || B_SIGNED || !(FIXED || A_WIDTH <= MOST || B_WIDTH <= MOST);
  // A constant's digits are 1, 0 and -1, no two others than 0 side by side: so 7 takes one subtraction.
  localparam [B_WIDTH+1:0] ONCE = _TECHMAP_CONSTVAL_B_;
  localparam [B_WIDTH+1:0] THRICE = ONCE + (ONCE << 1);
  localparam [B_WIDTH:0] MORE = (THRICE & ~ONCE) >> 1;
  localparam [B_WIDTH:0] LESS = (ONCE & ~THRICE) >> 1;
  // the narrower one chooses
  localparam SWAP = !FIXED && A_WIDTH < B_WIDTH;
  localparam TERMS = FIXED ? B_WIDTH + 1 : SWAP ? A_WIDTH : B_WIDTH;
  wire [Y_WIDTH-1:0] wide = SWAP ? B : A;
  wire [TERMS-1:0] chooses = SWAP ? A : B;
  wire [Y_WIDTH*(TERMS+1)-1:0] sums;
  assign sums[0 +: Y_WIDTH] = 0;
  generate
    genvar i;
    for (i = 0; i < TERMS; i = i + 1) begin : terms
      wire [Y_WIDTH-1:0] before = sums[i*Y_WIDTH +: Y_WIDTH];
      wire [Y_WIDTH-1:0] after;
      if (FIXED && MORE[i]) assign after = before + (wide << i);
      else if (FIXED && LESS[i]) assign after = before - (wide << i);
      else if (FIXED) assign after = before;
      else assign after = before + ((wide & {Y_WIDTH{chooses[i]}}) << i);
      assign sums[(i+1)*Y_WIDTH +: Y_WIDTH] = after;
    end
  endgenerate
  assign Y = sums[TERMS*Y_WIDTH +: Y_WIDTH];
endmodule

// Products in the multipliers of a GW5A, signed and of 12 x 12 bits, which Yosys leaves to look-up tables: for its techmap.
module \$__MUL12X12 (A, B, Y);
  parameter A_SIGNED = 1;
  parameter B_SIGNED = 1;
  parameter A_WIDTH = 12;
  parameter B_WIDTH = 12;
  parameter Y_WIDTH = 24;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire [11:0] a = {{12{A[A_WIDTH-1]}}, A};
  wire [11:0] b = {{12{B[B_WIDTH-1]}}, B};
  wire [23:0] product;
  MULT12X12 _TECHMAP_REPLACE_ (.A(a), .B(b), .DOUT(product), .CLK(2'b0), .CE(2'b0), .RESET(2'b0));
  assign Y = product;
endmodule

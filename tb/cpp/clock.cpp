// Clocks a bench_top that does everything else by itself, until it calls $finish. Arguments: plusargs.
#include "Vbench_top.h"
#include "verilated.h"

int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vbench_top top{&context};
    while (!context.gotFinish()) {
        top.clk = 0;
        top.eval();
        context.timeInc(1);
        top.clk = 1;
        top.eval();
        context.timeInc(1);
    }
    top.final();
}

// Host of a simulation without Python: works off a list of AXI4-Lite accesses, all tiles side by side.
//
// Arguments: list of accesses, file for what is read, most cycles of the batch, plusargs. Lines of the list: "TILE w ADDRESS
// VALUE", "TILE r ADDRESS", "go" (everything before it is finished first), "pause CYCLES", "wait RECORDS"
// (until every tile has written so many completion records, counted from the last mark), "mark" (logs and records begin anew) and
// "say TEXT" (into the answers, at once). Both files may be pipes: then a caller gives one batch after the other.
#include <cstring>
#include <vector>

#include "host.h"

static VerilatedContext context;
static Vbench_top* top;

// Only what changes an input moves host_clk: between accesses nothing but the clock is evaluated.
static void take_inputs() {
    top->host_clk = 1;
    top->eval();
    top->host_clk = 0;
}

static void rise() {
    top->clk = 1;
    top->eval();
}

static void fall() {
    top->clk = 0;
    top->eval();
    context.timeInc(1);
}

int main(int argc, char** argv) {
    if (argc < 4) {
        std::printf("usage: simulation ACCESSES ANSWERS CYCLES [+PLUSARG ...]\n");
        return 2;
    }
    context.commandArgs(argc, argv);
    top = new Vbench_top{&context};
    std::FILE* list = std::fopen(argv[1], "r");
    std::FILE* answers = std::fopen(argv[2], "w");
    const unsigned long long limit = std::strtoull(argv[3], nullptr, 10);
    if (!list || !answers) {
        std::printf("ERROR: cannot open %s or %s\n", argv[1], argv[2]);
        return 2;
    }
    std::vector<Host> hosts;
    for (const HostPort& port : {
#include "ports.inc"
         }) {
        hosts.push_back(Host{port, static_cast<int>(hosts.size()), answers, {}});
        *port.wstrb = 15;
    }
    top->in_rst = 1;
    take_inputs();
    for (int i = 0; i < 4; i++) fall(), rise();
    top->in_rst = 0;

    auto finish = [&] {
        for (bool busy = true; busy;) {
            fall();
            for (Host& host : hosts) host.drive();
            take_inputs();
            for (Host& host : hosts) host.sample();
            rise();
            busy = false;
            for (Host& host : hosts) host.step(), busy |= host.busy();
        }
    };
    char line[128];
    while (std::fgets(line, sizeof line, list)) {
        int tile;
        char kind;
        uint32_t address, value = 0;
        if (!std::strncmp(line, "go", 2)) {
            finish();
        } else if (!std::strncmp(line, "pause", 5)) {
            finish();
            for (int cycles = std::atoi(line + 5); cycles > 0; cycles--) fall(), rise();
        } else if (!std::strncmp(line, "mark", 4)) {
            finish();
            top->in_mark = 1;
            fall(), take_inputs(), rise();
            top->in_mark = 0;
            fall(), take_inputs(), rise();
        } else if (!std::strncmp(line, "say", 3)) {
            finish();
            std::fprintf(answers, "%s", line);
            std::fflush(answers);
        } else if (!std::strncmp(line, "wait", 4)) {
            finish();
            top->in_wanted = std::atoi(line + 4);
            fall(), take_inputs(), rise();
            for (unsigned long long cycle = 0; !top->all_done; cycle++) {
                if (cycle == limit) {
                    std::printf("ERROR: hung: not done after %llu cycles\n", limit);
                    return 1;
                }
                fall(), rise();
            }
        } else if (std::sscanf(line, "%d %c %u %u", &tile, &kind, &address, &value) >= 3) {
            hosts.at(tile).todo.push_back(Access{kind == 'w' ? Kind::WRITE : Kind::READ, address, value, 0});
        }
    }
    finish();
    for (int i = 0; i < 2; i++) fall(), rise();
    top->final();
    std::fclose(answers);
    delete top;
    return 0;
}

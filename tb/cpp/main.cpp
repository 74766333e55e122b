// Host of a simulation without Python: works off a list of AXI4-Lite accesses, all tiles side by side.
//
// Arguments: list of accesses, file for what is read, most cycles of the batch, plusargs. Lines of the list: "TILE w ADDRESS
// VALUE", "TILE r ADDRESS", "go" (everything before it is finished first), "pause CYCLES", "wait RECORDS"
// (until every tile has written so many completion records, counted from the last mark), "mark" (logs and records begin anew) and
// "say TEXT" (into the answers, at once). Both files may be pipes: then a caller gives one batch after the other.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <type_traits>
#include <vector>

#include "Vbench_top.h"
#include "verilated.h"

using Address = std::remove_reference_t<decltype(Vbench_top::in_host_0_awaddr)>;

struct HostPort {
    Address *awaddr, *araddr;
    uint32_t *wdata, *rdata;
    uint8_t *wstrb, *awvalid, *awready, *wvalid, *wready, *bvalid, *bready, *bresp;
    uint8_t *arvalid, *arready, *rvalid, *rready, *rresp;
};
#define HOST_PORTS(t)                                                                                                  \
    HostPort {                                                                                                         \
        &top->in_host_##t##_awaddr, &top->in_host_##t##_araddr, &top->in_host_##t##_wdata, &top->host_##t##_rdata,              \
            &top->in_host_##t##_wstrb, &top->in_host_##t##_awvalid, &top->host_##t##_awready, &top->in_host_##t##_wvalid,       \
            &top->host_##t##_wready, &top->host_##t##_bvalid, &top->in_host_##t##_bready, &top->host_##t##_bresp,         \
            &top->in_host_##t##_arvalid, &top->host_##t##_arready, &top->host_##t##_rvalid, &top->in_host_##t##_rready,      \
            &top->host_##t##_rresp                                                                                     \
    }

struct Access {
    bool write;
    uint32_t address, value;
};

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

[[noreturn]] static void fail(const char* what, int tile, uint32_t address) {
    std::printf("ERROR: %s, tile %d, address 0x%x\n", what, tile, address);
    std::exit(1);
}

// One tile's accesses in their order; a state is what is waited for.
struct Host {
    HostPort port;
    int tile;
    std::FILE* answers;
    std::deque<Access> todo;
    enum { IDLE, ADDRESS, RESPONSE } state = IDLE;
    int patience = 0;

    bool busy() const { return state != IDLE || !todo.empty(); }

    // Inputs for the coming edge; they are taken over by take_inputs().
    void drive() {
        if (state != IDLE || todo.empty()) return;
        const Access& a = todo.front();
        if (a.write) {
            *port.awaddr = a.address, *port.wdata = a.value;
            *port.awvalid = *port.wvalid = 1;
        } else {
            *port.araddr = a.address;
            *port.arvalid = 1;
        }
        state = ADDRESS;
        patience = 1000;
    }

    // What the ports say right before the edge; the inputs change after it.
    struct Seen {
        bool address, response;
        uint32_t code, data;
    } seen;
    void sample() {
        const bool write = !todo.empty() && todo.front().write;
        seen.address = write ? *port.awready && *port.wready : *port.arready;
        seen.response = write ? *port.bvalid : *port.rvalid;
        seen.code = write ? *port.bresp : *port.rresp;
        seen.data = *port.rdata;
    }
    void step() {
        if (state == IDLE) return;
        const Access a = todo.front();
        if (!patience--) fail("no answer", tile, a.address);
        if (state == ADDRESS && seen.address) {
            *port.awvalid = *port.wvalid = *port.arvalid = 0;
            (a.write ? *port.bready : *port.rready) = 1;
            state = RESPONSE;
        } else if (state == RESPONSE && seen.response) {
            *port.bready = *port.rready = 0;
            if (seen.code) fail("access refused", tile, a.address);
            if (!a.write) std::fprintf(answers, "%d %u\n", tile, seen.data);
            todo.pop_front();
            state = IDLE;
        }
    }
};

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
            hosts.at(tile).todo.push_back(Access{kind == 'w', address, value});
        }
    }
    finish();
    for (int i = 0; i < 2; i++) fall(), rise();
    top->final();
    std::fclose(answers);
    delete top;
    return 0;
}

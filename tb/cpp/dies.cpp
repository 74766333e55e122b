// Tiles with clocks of their own, without Python: an event-driven schedule of all rising edges, in femtoseconds, and a host for
// each tile that works off its accesses in that tile's clock.
//
// Arguments: list, file for what is read, most cycles of a wait (of the nominal clock), plusargs. Lines of the list: "clock TILE
// ON PERIOD PHASE JITTER DRIFT WAVE SEED" (all tiles, first of all: switched on at time ON (fs), -1: never; the period and how
// far it wanders up and down in WAVE edges; each edge is early or late by JITTER fs at the most); "TILE w ADDRESS VALUE", "TILE r
// ADDRESS", "TILE t ADDRESS VALUE" (a write that may be refused; answers with its response), "TILE p ADDRESS VALUE MASK" (reads
// until these bits have this value), "TILE d CYCLES" (lets cycles pass), "TILE x CYCLES" (holds this tile alone in rst), "go" (all of
// it is finished first), "pause CYCLES" (of every tile), "wait RECORDS", "mark", "say TEXT" as in main.cpp, "set INPUT VALUE" for
// the inputs named below, "time" (notes the time).
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "host.h"

static VerilatedContext context;
static Vbench_top* top;

struct Pins {
    uint8_t *clk, *rst, *mark;
};
#define TILE_PINS(t) \
    Pins { &top->clk_##t, &top->in_rst_##t, &top->in_mark_##t }

// A reproducible sequence: splitmix64.
struct Random {
    uint64_t state;
    double unit() {
        uint64_t z = state += 0x9E3779B97F4A7C15ull;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ z >> 27) * 0x94D049BB133111EBull;
        return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
    }
};

struct Die {
    Pins pins;
    Host host;
    long long on, period, phase, jitter, drift, wave;
    Random random;
    double ideal = 0;  // of the next edge, without jitter
    int64_t next = 0;
    uint64_t edges = 0;
    int rst_left = 4;
    bool marking = false, high = false;

    bool runs() const { return on >= 0; }
    void start() {
        ideal = (double)(on + phase);
        plan();
    }
    void plan() {
        const int64_t at = (int64_t)(ideal + (random.unit() * 2 - 1) * (double)jitter);
        next = at > next ? at : next + 1;
    }
    void advance() {
        edges++;
        ideal += (double)period + (double)drift * std::sin(6.283185307179586 * (double)(edges % wave) / (double)wave);
        plan();
    }
};

static std::vector<Die> dies;
static int64_t now;
static bool touched = true;  // an input has changed and was not taken over

static void take_inputs() {
    top->host_clk = 1;
    top->eval();
    top->host_clk = 0;
    touched = false;
}

// The next rising edge, of one tile or of several that have it at the same time.
static void step() {
    int64_t at = INT64_MAX;
    for (const Die& die : dies)
        if (die.runs() && die.next < at) at = die.next;
    bool low = false;
    for (Die& die : dies) {
        if (die.runs() && die.next == at) {
            if (die.host.busy() && !die.rst_left) die.host.drive(), touched = true;
            if (!die.rst_left && die.host.state == Host::IDLE && !die.host.todo.empty() && die.host.todo.front().kind == Kind::RESET) {
                die.rst_left = (int)die.host.todo.front().value;
                *die.pins.rst = 1;
                touched = true;
                die.host.todo.pop_front();
            }
            low |= die.high;
        }
        *die.pins.clk = 0;
        if (die.next != at) die.high = false;
    }
    if (touched) take_inputs();
    else if (low) top->eval();
    now = at;
    context.time((uint64_t)(now / 1000));
    for (Die& die : dies)
        if (die.runs() && die.next == at) die.host.sample(), *die.pins.clk = 1, die.high = true;
    top->eval();
    for (Die& die : dies) {
        if (!die.runs() || die.next != at) continue;
        if (!die.rst_left) die.host.step();
        if (die.rst_left && !--die.rst_left) *die.pins.rst = 0, touched = true;
        if (die.marking) die.marking = false, *die.pins.mark = 0, touched = true;
        die.advance();
    }
}

static void until_idle() {
    for (bool busy = true; busy;) {
        busy = false;
        for (const Die& die : dies) busy |= die.runs() && (die.host.busy() || die.rst_left);
        if (busy) step();
    }
}

static void set(const char* name, uint32_t value) {
    const std::string which = name;
    if (which == "stall_seed") top->in_stall_seed = value;
    else if (which == "stall_ddr") top->in_stall_ddr = (uint8_t)value;
    else if (which == "stall_io") top->in_stall_io = (uint8_t)value;
    else if (which == "stall_link") top->in_stall_link = (uint8_t)value;
#ifdef LINK_FAULTS
    else if (which == "fault_run") top->in_fault_run = value;
#endif
    else fail(name, -1, 0);
    touched = true;
}

int main(int argc, char** argv) {
    if (argc < 4) {
        std::printf("usage: simulation LIST ANSWERS CYCLES [+PLUSARG ...]\n");
        return 2;
    }
    context.commandArgs(argc, argv);
    top = new Vbench_top{&context};
    std::FILE* list = std::fopen(argv[1], "r");
    std::FILE* answers = std::fopen(argv[2], "w");
    const double limit = std::strtod(argv[3], nullptr) * 1e6;
    if (!list || !answers) {
        std::printf("ERROR: cannot open %s or %s\n", argv[1], argv[2]);
        return 2;
    }
    for (const HostPort& port : {
#include "ports.inc"
         }) {
        dies.push_back(Die{});
        dies.back().host = Host{port, static_cast<int>(dies.size()) - 1, answers, {}};
        *port.wstrb = 15;
    }
    int tile = 0;
    for (const Pins& pins : {
#include "pins.inc"
         }) {
        dies[tile].pins = pins;
        *dies[tile++].pins.rst = 1;
    }
    char line[256], text[64];
    while (std::fgets(line, sizeof line, list)) {
        char kind;
        uint32_t address, value = 0, mask = 0;
        if (!std::strncmp(line, "clock", 5)) {
            long long on, period, phase, jitter, drift, wave, seed;
            if (std::sscanf(line + 5, "%d %lld %lld %lld %lld %lld %lld %lld", &tile, &on, &period, &phase, &jitter, &drift, &wave,
                            &seed) != 8) fail("a clock is not whole", tile, 0);
            Die& die = dies.at(tile);
            die.on = on, die.period = period, die.phase = phase, die.jitter = jitter, die.drift = drift, die.wave = wave;
            die.random.state = (uint64_t)seed;
            die.start();
        } else if (!std::strncmp(line, "go", 2)) {
            until_idle();
        } else if (!std::strncmp(line, "pause", 5)) {
            until_idle();
            std::vector<uint64_t> ends;
            for (const Die& die : dies) ends.push_back(die.edges + std::strtoull(line + 5, nullptr, 10));
            for (bool more = true; more;) {
                more = false;
                for (size_t i = 0; i < dies.size(); i++) more |= dies[i].runs() && dies[i].edges < ends[i];
                if (more) step();
            }
        } else if (!std::strncmp(line, "mark", 4)) {
            until_idle();
            for (Die& die : dies) die.marking = die.runs(), *die.pins.mark = die.runs();
            touched = true;
            for (bool more = true; more;) {
                more = false;
                for (const Die& die : dies) more |= die.marking;
                if (more) step();
            }
        } else if (!std::strncmp(line, "say", 3)) {
            until_idle();
            std::fprintf(answers, "%s", line);
            std::fflush(answers);
        } else if (!std::strncmp(line, "time", 4)) {
            until_idle();
            std::fprintf(answers, "time %lld\n", (long long)now);
        } else if (std::sscanf(line, "set %63s %u", text, &value) == 2) {
            until_idle();
            set(text, value);
        } else if (!std::strncmp(line, "wait", 4)) {
            until_idle();
            top->in_wanted = std::atoi(line + 4);
            touched = true;
            step();
            for (const int64_t end = now + (int64_t)limit; !top->all_done; step())
                if (now > end) {
                    std::printf("ERROR: hung: not done after %s cycles\n", argv[3]);
                    return 1;
                }
        } else if (std::sscanf(line, "%d %c %u %u %u", &tile, &kind, &address, &value, &mask) >= 3) {
            Access access{Kind::READ, address, value, mask};
            if (kind == 'w') access.kind = Kind::WRITE;
            if (kind == 't') access.kind = Kind::TRY;
            if (kind == 'p') access.kind = Kind::POLL;
            if (kind == 'd') access = Access{Kind::WAIT, 0, address, 0};
            if (kind == 'x') access = Access{Kind::RESET, 0, address, 0};
            dies.at(tile).host.todo.push_back(access);
        }
    }
    until_idle();
    for (size_t i = 0; i < 4 * dies.size(); i++) step();
    top->final();
    std::fclose(answers);
    delete top;
    return 0;
}

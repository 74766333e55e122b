// A host's accesses to the AXI4-Lite port of one tile, for simulations without Python.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <type_traits>

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

// READ notes the value; POLL reads until the bits of `mask` are `value`; TRY is a write that may be refused; WAIT lets cycles
// pass; RESET holds the tile in rst for so many cycles.
enum class Kind { READ, WRITE, POLL, TRY, WAIT, RESET };

struct Access {
    Kind kind;
    uint32_t address, value, mask;
};

[[noreturn]] static inline void fail(const char* what, int tile, uint32_t address) {
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
    uint32_t polls = 0;

    bool busy() const { return state != IDLE || !todo.empty(); }

    // Inputs for the coming edge, if there is anything to say; they have to be taken over.
    bool drive() {
        if (state != IDLE || todo.empty()) return false;
        const Access& a = todo.front();
        if (a.kind == Kind::WAIT || a.kind == Kind::RESET) return false;
        if (a.kind == Kind::WRITE || a.kind == Kind::TRY) {
            *port.awaddr = a.address, *port.wdata = a.value;
            *port.awvalid = *port.wvalid = 1;
        } else {
            *port.araddr = a.address;
            *port.arvalid = 1;
        }
        state = ADDRESS;
        patience = 1000;
        return true;
    }

    // What the ports say right before the edge; the inputs change after it.
    struct Seen {
        bool address, response;
        uint32_t code, data;
    } seen;
    bool writes() const { return !todo.empty() && (todo.front().kind == Kind::WRITE || todo.front().kind == Kind::TRY); }
    void sample() {
        const bool write = writes();
        seen.address = write ? *port.awready && *port.wready : *port.arready;
        seen.response = write ? *port.bvalid : *port.rvalid;
        seen.code = write ? *port.bresp : *port.rresp;
        seen.data = *port.rdata;
    }
    void step() {
        if (state == IDLE) {
            if (!todo.empty() && todo.front().kind == Kind::WAIT && todo.front().value-- == 0) todo.pop_front();
            return;
        }
        const Access a = todo.front();
        if (!patience--) fail("no answer", tile, a.address);
        if (state == ADDRESS && seen.address) {
            *port.awvalid = *port.wvalid = *port.arvalid = 0;
            (writes() ? *port.bready : *port.rready) = 1;
            state = RESPONSE;
        } else if (state == RESPONSE && seen.response) {
            *port.bready = *port.rready = 0;
            state = IDLE;
            if (seen.code && a.kind != Kind::TRY) fail("access refused", tile, a.address);
            if (a.kind == Kind::POLL && (seen.data & a.mask) != a.value) {
                if (++polls == 200000) fail("polled in vain", tile, a.address);
                return;
            }
            polls = 0;
            if (a.kind == Kind::READ) std::fprintf(answers, "%d %u\n", tile, seen.data);
            if (a.kind == Kind::TRY) std::fprintf(answers, "%d %u\n", tile, seen.code);
            todo.pop_front();
        }
    }
};

// The system on a board without Python in the loop: its clock, the other end of its UART, and its DRAM's contents.
//
// Requests come by standard input, answers go to standard output. A request is a letter and two 32-bit numbers:
//   l ADDRESS BYTES   load bytes, which follow, into the DRAM
//   d ADDRESS BYTES   dump bytes of the DRAM: answered with "d 0 BYTES" and the bytes
//   u 0 BYTES         bytes, which follow, for the UART
//   g 0 CYCLES        run until a line from the UART begins with "ok" or "failed", at most so long: each byte that comes is
//                     answered with "u BYTE 0", the end with "e 1 CYCLES", or with "e 0 CYCLES" if that line did not come
// The end of the input ends the simulation. The clock stands still between requests.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "Vsoc.h"
#include "Vsoc___024root.h"
#include "Vsoc_soc.h"
#include "board.inc"  // BANKS, BANK_BITS, COLUMN_BITS, WORD_BYTES, BIT_CYCLES
#include "verilated.h"

// where answers go: the standard output proper, since what the model prints would get between them
static FILE* answers;
static VerilatedContext context;
static Vsoc* top;

// A bit lasts so many cycles; a byte is a start bit, eight bits, the lowest first, and a stop bit.
struct Sender {
    std::deque<uint8_t> bytes;
    int bit = -1, left = 0;
    uint8_t now = 0;

    int step() {
        if (left == 0) {
            if (bit == 9 || bit < 0) {
                if (bytes.empty()) {
                    bit = -1;
                    return 1;
                }
                now = bytes.front();
                bytes.pop_front();
                bit = 0;
            } else {
                bit++;
            }
            left = BIT_CYCLES;
        }
        left--;
        return bit == 0 ? 0 : bit == 9 ? 1 : now >> (bit - 1) & 1;
    }
};

struct Receiver {
    int bit = -1, left = 0;
    uint8_t now = 0;

    // The byte that is complete in this cycle, or -1.
    int step(int line) {
        if (bit < 0) {
            if (line == 0) bit = 0, left = BIT_CYCLES + BIT_CYCLES / 2;
            return -1;
        }
        if (--left > 0) return -1;
        left = BIT_CYCLES;
        if (bit == 8) {  // the stop bit
            bit = -1;
            return now;
        }
        now = static_cast<uint8_t>(now >> 1 | line << 7);
        bit++;
        return -1;
    }
};

// A 32-bit word of the DRAM. LiteDRAM puts the bank between row and column; a burst of the chip is a word of the model, which
// leaves every other of its own free.
static uint32_t& word_at(uint32_t address) {
    const uint32_t burst = address / WORD_BYTES, columns = (1u << COLUMN_BITS) * 2 / WORD_BYTES;
    const uint32_t bank = burst / columns % (1u << BANK_BITS), row = burst / columns >> BANK_BITS;
    const uint32_t index = (row * columns + burst % columns) * 2;
    auto* const soc = top->rootp->soc;
    switch (bank) {
#define BANK(number, name) case number: return soc->name[index][address % WORD_BYTES / 4];
        BANKS
#undef BANK
    }
    static uint32_t nowhere;
    return nowhere;
}

static void answer(char kind, uint32_t first, uint32_t second) {
    std::fputc(kind, answers);
    std::fwrite(&first, 4, 1, answers);
    std::fwrite(&second, 4, 1, answers);
}

static Sender sender;
static Receiver receiver;
static uint64_t cycles;

static int cycle() {
    top->serial_rx = sender.step();
    top->clk = 0;
    top->eval();
    context.timeInc(1);
    top->clk = 1;
    top->eval();
    context.timeInc(1);
    cycles++;
    return receiver.step(top->serial_tx);
}

static bool run(uint32_t most) {
    std::string line;
    for (uint32_t count = 0; count < most; count++) {
        const int byte = cycle();
        if (byte < 0) continue;
        answer('u', static_cast<uint32_t>(byte), 0);
        std::fflush(answers);
        if (byte != '\n') {
            line += static_cast<char>(byte);
        } else {
            if (line.compare(0, 2, "ok") == 0 || line.compare(0, 6, "failed") == 0) return true;
            line.clear();
        }
    }
    return false;
}

int main(int argc, char** argv) {
    answers = fdopen(dup(1), "wb");
    dup2(2, 1);
    context.commandArgs(argc, argv);
    top = new Vsoc{&context};
    top->rst = 1;
    for (int i = 0; i < 8; i++) cycle();
    top->rst = 0;
    char kind;
    uint32_t numbers[2];
    while (std::fread(&kind, 1, 1, stdin) == 1 && std::fread(numbers, 4, 2, stdin) == 2) {
        const uint32_t address = numbers[0], count = numbers[1];
        if (kind == 'g') {
            const uint64_t before = cycles;
            const bool ended = run(count);
            answer('e', ended, static_cast<uint32_t>(cycles - before));
        } else if (kind == 'd') {
            answer('d', 0, count);
            for (uint32_t at = 0; at < count; at += 4) std::fwrite(&word_at(address + at), 4, 1, answers);
        } else {
            std::vector<uint8_t> bytes(count);
            if (std::fread(bytes.data(), 1, count, stdin) != count) break;
            if (kind == 'u') sender.bytes.insert(sender.bytes.end(), bytes.begin(), bytes.end());
            else
                for (uint32_t at = 0; at < count; at += 4) std::memcpy(&word_at(address + at), &bytes[at], 4);
        }
        std::fflush(answers);
    }
    top->final();
    delete top;
    return 0;
}

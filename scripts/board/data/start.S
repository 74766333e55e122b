/* From reset to main: stack, initialised data, cleared data. A trap ends in trap(mcause, mepc). */
    .option arch, +zicsr
    .section .start, "ax"
    .global _start
_start:
    la sp, stack_top
    la t0, enter_trap
    csrw mtvec, t0
    la t0, data_begin
    la t1, data_end
    la t2, data_source
1:  beq t0, t1, 2f
    lw t3, 0(t2)
    sw t3, 0(t0)
    addi t0, t0, 4
    addi t2, t2, 4
    j 1b
2:  la t0, bss_begin
    la t1, bss_end
3:  beq t0, t1, 4f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 3b
4:  call main
5:  j 5b

    .balign 4
enter_trap:
    csrr a0, mcause
    csrr a1, mepc
    call trap
    j 5b

/* Starts a program on a Cortex-M: stack, initialized variables, zeroed variables, main. */
#include <stdint.h>

#include "console.h"

int main(void);
void reset(void);
void fault(void);

extern uint32_t stack_top, data_start, data_end, bss_start, bss_end;
extern const uint32_t data_load;

/* The vector table: the initial stack pointer, then the handlers of reset, NMI and faults. */
__attribute__((section(".vectors"), used)) static const struct {
    void *stack;
    void (*handlers[6])(void);
} vectors = {&stack_top, {reset, fault, fault, fault, fault, fault}};

void reset(void)
{
    const uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end; to++) {
        *to = 0;
    }
#ifdef __ARM_FP
    /* Gives the program access to the floating-point unit. */
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
    __asm__ volatile("dsb\n\tisb");
#endif
    leave(main());
}

/* Ends the program at a fault. */
void fault(void)
{
    print("hard fault\n");
    leave(1);
}

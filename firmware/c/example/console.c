#include "console.h"

/* Calls the host: an operation and its argument. */
static void call(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void print(const char *text)
{
    call(0x04, text); /* SYS_WRITE0 */
}

void print_number(int32_t number)
{
    char digits[12];
    char *first = digits + sizeof digits - 1;
    uint32_t rest = number < 0 ? -(uint32_t)number : (uint32_t)number;
    *first = '\0';
    do {
        *--first = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        *--first = '-';
    }
    print(first);
}

void leave(int status)
{
    const uint32_t block[2] = {0x20026, (uint32_t)status}; /* ADP_Stopped_ApplicationExit */
    for (;;) {
        call(0x20, block); /* SYS_EXIT_EXTENDED */
    }
}

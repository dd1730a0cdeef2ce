/* Runs a network that was emitted as C on every input: prints class, logits and ticks of SysTick. */
#include "console.h"
#include "network.h"

extern const uint8_t inputs[], inputs_end[];

/* SysTick: control, reload value, current value. */
#define CONTROL (*(volatile uint32_t *)0xe000e010)
#define RELOAD (*(volatile uint32_t *)0xe000e014)
#define CURRENT (*(volatile uint32_t *)0xe000e018)

/* An application has its input in RAM. */
static uint8_t input[NETWORK_INPUTS];

/* Restarts the timer, which counts down, and returns its value. */
__attribute__((noinline)) static uint32_t start(void)
{
    CURRENT = 0;
    while (CURRENT == 0) {
    }
    return CURRENT;
}

/* Returns the ticks since the timer had this value. */
__attribute__((noinline)) static uint32_t since(uint32_t begin)
{
    return begin - CURRENT;
}

/* Classifies the input; a function that the compiler does not specialize. */
__attribute__((noinline)) static int classify(const uint8_t *image)
{
    return network_classify(image);
}

int main(void)
{
    RELOAD = 0xffffff;
    CONTROL = 5;
    const uint32_t overhead = since(start());

    for (const uint8_t *next = inputs; next < inputs_end; next += NETWORK_INPUTS) {
        int32_t logits[NETWORK_OUTPUTS];
        for (uint32_t i = 0; i < NETWORK_INPUTS; i++) {
            input[i] = next[i];
        }
        const uint32_t begin = start();
        const int class_index = classify(input);
        const uint32_t ticks = since(begin) - overhead;
        network_infer(input, logits);
        print_number(class_index);
        for (uint32_t i = 0; i < NETWORK_OUTPUTS; i++) {
            print(" ");
            print_number(logits[i]);
        }
        print(" ");
        print_number((int32_t)ticks);
        print("\n");
    }
    return 0;
}

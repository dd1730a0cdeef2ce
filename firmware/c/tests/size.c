/* The engine as a C program links it, with a model that the compiler does not know. */
#include "rarefy.h"

static rfy_model model;
static const void *volatile container;
static void *volatile memory;
static volatile size_t length, result;

void reset(void);

void reset(void)
{
    for (;;) {
        const int32_t *logits;
        if (rfy_model_parse(&model, container, length) == RFY_OK &&
            rfy_infer(&model, (const uint8_t *)container, length, memory, length, &logits) == RFY_OK) {
            result = rfy_argmax(logits, rfy_outputs(&model));
        }
    }
}

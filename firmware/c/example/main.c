/* Prints the class and the logits of every input. */
#include "console.h"
#include "model.h"
#include "rarefy.h"

/* Inputs, which a product would get from a sensor. */
extern const uint8_t inputs[], inputs_end[];

static uint32_t arena[MODEL_ARENA_BYTES / 4];

int main(void)
{
    rfy_model network;
    const int32_t *logits;
    int32_t error = rfy_model_parse(&network, model, MODEL_BYTES);
    const size_t length = rfy_inputs(&network);

    for (const uint8_t *input = inputs; error == RFY_OK && input < inputs_end; input += length) {
        error = rfy_infer(&network, input, length, arena, sizeof arena, &logits);
        if (error == RFY_OK) {
            print_number((int32_t)rfy_argmax(logits, rfy_outputs(&network)));
            for (size_t i = 0; i < rfy_outputs(&network); i++) {
                print(" ");
                print_number(logits[i]);
            }
            print("\n");
        }
    }
    if (error != RFY_OK) {
        print(rfy_error_string(error));
        print("\n");
    }
    return error;
}

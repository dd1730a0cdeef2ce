/*
 * Calls every function rightly and wrongly, on the workstation, as C or C++. Arguments: "checked",
 * "release" or "units", a container that the library reads, and one that needs a feature that it lacks.
 */
#include <stdio.h>
#include <string.h>

#include "rarefy.h"

#include "messages.h"

#define WORDS 20000

static int failures, checks;

/* Counts a failure if two values differ. */
static void equal(const char *what, long found, long expected)
{
    checks++;
    if (found != expected) {
        printf("%s: %ld instead of %ld\n", what, found, expected);
        failures++;
    }
}

/* Reads a file and returns its length. */
static size_t load(const char *path, uint32_t *words)
{
    FILE *file = fopen(path, "rb");
    size_t length = 0;
    if (file) {
        length = fread(words, 1, WORDS * sizeof *words, file);
        fclose(file);
    }
    return length;
}

/* Parses a copy of a container in which a byte is changed, and returns the error code. */
static int32_t changed(const uint32_t *container, size_t length, size_t position, int by)
{
    static uint32_t copy[WORDS];
    rfy_model model;
    memcpy(copy, container, length);
    ((uint8_t *)copy)[position] = (uint8_t)(((uint8_t *)copy)[position] + by);
    const int32_t error = rfy_model_parse(&model, copy, length);
    equal("inputs of a rejected container", (long)rfy_inputs(&model), 0);
    return error;
}

static void parse(const uint32_t *bytes, size_t length, const uint32_t *other, size_t other_length)
{
    static uint32_t shifted[WORDS];
    rfy_model model;
    memset(&model, 0xff, sizeof model);
    memcpy((uint8_t *)shifted + 1, bytes, length);
    equal("parse", rfy_model_parse(&model, bytes, length), RFY_OK);
    equal("no model", rfy_model_parse(NULL, bytes, length), RFY_NULL);
    equal("no bytes", rfy_model_parse(&model, NULL, length), RFY_NULL);
    equal("no length", rfy_model_parse(&model, bytes, 0), RFY_EMPTY);
    equal("misaligned", rfy_model_parse(&model, (uint8_t *)shifted + 1, length), RFY_MISALIGNED);
    equal("short header", rfy_model_parse(&model, bytes, 3), RFY_DAMAGED);
    equal("cut", rfy_model_parse(&model, bytes, length - 1), RFY_DAMAGED);
    equal("magic", changed(bytes, length, 0, 1), RFY_NO_MODEL);
    equal("version", changed(bytes, length, 3, 1), RFY_VERSION);
    equal("checksum", changed(bytes, length, length - 1, 1), RFY_DAMAGED);
    equal("feature", rfy_model_parse(&model, other, other_length), RFY_UNSUPPORTED);
}

static void infer(const uint32_t *bytes, size_t length)
{
    static uint32_t arena[WORDS], again[WORDS];
    static uint8_t input[WORDS];
    rfy_model model, copy;
    const int32_t *logits = NULL, *others = NULL;
    memset(&copy, 0, sizeof copy);
    equal("inputs, not parsed", (long)rfy_inputs(&copy), 0);
    equal("outputs, not parsed", (long)rfy_outputs(&copy), 0);
    equal("arena, not parsed", (long)rfy_arena_bytes(&copy), 0);
    equal("inputs of null", (long)rfy_inputs(NULL), 0);
    equal("outputs of null", (long)rfy_outputs(NULL), 0);
    equal("arena of null", (long)rfy_arena_bytes(NULL), 0);
    equal("not parsed", rfy_infer(&copy, input, 1, arena, 4, &logits), RFY_NOT_PARSED);

    equal("parse", rfy_model_parse(&model, bytes, length), RFY_OK);
    const size_t inputs = rfy_inputs(&model), outputs = rfy_outputs(&model);
    const size_t room = rfy_arena_bytes(&model);
    equal("sizes", inputs > 1 && outputs > 1 && room >= 4 * outputs && room % 4 == 0, 1);
    for (size_t i = 0; i < inputs; i++) {
        input[i] = (uint8_t)(37 * i + 5);
    }
    equal("infer", rfy_infer(&model, input, inputs, arena, room, &logits), RFY_OK);
    equal("in the arena", logits >= (int32_t *)arena && logits + outputs <= (int32_t *)(arena + room / 4), 1);
    /* A copy computes the same, in an arena that is larger and not cleared. */
    memcpy(&copy, &model, sizeof copy);
    memset(again, 0xa5, sizeof again);
    equal("copy", rfy_infer(&copy, input, inputs, again, sizeof again, &others), RFY_OK);
    equal("logits", memcmp(logits, others, outputs * sizeof *logits), 0);

    equal("no model", rfy_infer(NULL, input, inputs, arena, room, &logits), RFY_NULL);
    equal("logits after an error", logits == NULL, 1);
    equal("no input", rfy_infer(&model, NULL, inputs, arena, room, &logits), RFY_NULL);
    equal("no arena", rfy_infer(&model, input, inputs, NULL, room, &logits), RFY_NULL);
    equal("no logits", rfy_infer(&model, input, inputs, arena, room, NULL), RFY_NULL);
    equal("short input", rfy_infer(&model, input, inputs - 1, arena, room, &logits), RFY_INPUT_LENGTH);
    equal("long input", rfy_infer(&model, input, inputs + 1, arena, room, &logits), RFY_INPUT_LENGTH);
    equal("length 0", rfy_infer(&model, input, 0, arena, room, &logits), RFY_INPUT_LENGTH);
    equal("small arena", rfy_infer(&model, input, inputs, arena, room - 1, &logits), RFY_ARENA_TOO_SMALL);
    equal("empty arena", rfy_infer(&model, input, inputs, arena, 0, &logits), RFY_ARENA_TOO_SMALL);
    equal("misaligned", rfy_infer(&model, input, inputs, (uint8_t *)arena + 2, room, &logits), RFY_MISALIGNED);
}

/* What only a library with debug assertions notices. */
static void pointers(const uint32_t *bytes, size_t length)
{
    static uint32_t arena[WORDS];
    static uintptr_t memory[RFY_MODEL_WORDS + 1];
    rfy_model model;
    const int32_t *logits;
    rfy_model *odd = (rfy_model *)(void *)((uint8_t *)memory + 1);
    equal("misaligned model", rfy_model_parse(odd, bytes, length), RFY_MISALIGNED);
    equal("too long", rfy_model_parse(&model, bytes, SIZE_MAX), RFY_OVERLAP);
    equal("parse", rfy_model_parse(&model, bytes, length), RFY_OK);
    const size_t inputs = rfy_inputs(&model), room = rfy_arena_bytes(&model);
    const uint8_t *inside = (const uint8_t *)arena + room - 1;
    equal("input in arena", rfy_infer(&model, inside, inputs, arena, room, &logits), RFY_OVERLAP);
    equal("model in arena", rfy_infer(&model, (const uint8_t *)arena, inputs, (void *)(uintptr_t)bytes, room, &logits), RFY_OVERLAP);
    equal("arena too long", rfy_infer(&model, inside, inputs, arena, SIZE_MAX, &logits), RFY_OVERLAP);
}

/* The conversions of a library and a container with units. */
static void units(const uint32_t *bytes, size_t length)
{
    static float values[WORDS];
    static uint8_t input[WORDS], expected;
    rfy_model model, none;
    memset(&none, 0, sizeof none);
    equal("parse", rfy_model_parse(&model, bytes, length), RFY_OK);
    const size_t inputs = rfy_inputs(&model);
    equal("quantize", rfy_quantize(&model, values, inputs, input), RFY_OK);
    expected = input[0];
    values[0] = -1e30f;
    values[inputs - 1] = 1e30f;
    equal("extremes", rfy_quantize(&model, values, inputs, input), RFY_OK);
    equal("far below", input[0], 0);
    equal("far above", input[inputs - 1], 255);
    values[0] = 0;
    equal("again", rfy_quantize(&model, values, inputs, input), RFY_OK);
    equal("the same byte", input[0], expected);
    equal("positive step", rfy_output_step(&model) > 0, 1);
    equal("step of null", rfy_output_step(NULL) == 0, 1);
    equal("step, not parsed", rfy_output_step(&none) == 0, 1);
    equal("no model", rfy_quantize(NULL, values, inputs, input), RFY_NULL);
    equal("no values", rfy_quantize(&model, NULL, inputs, input), RFY_NULL);
    equal("no input", rfy_quantize(&model, values, inputs, NULL), RFY_NULL);
    equal("not parsed", rfy_quantize(&none, values, inputs, input), RFY_NOT_PARSED);
    equal("too few", rfy_quantize(&model, values, inputs - 1, input), RFY_INPUT_LENGTH);
    equal("too many", rfy_quantize(&model, values, inputs + 1, input), RFY_INPUT_LENGTH);
    equal("misaligned", rfy_quantize(&model, (const float *)(const void *)((uint8_t *)values + 1), inputs, input), RFY_MISALIGNED);
}

/* A container without units has none. */
static void without_units(const uint32_t *bytes, size_t length)
{
    static float values[WORDS];
    static uint8_t input[WORDS];
    rfy_model model;
    equal("parse", rfy_model_parse(&model, bytes, length), RFY_OK);
    equal("no units", rfy_quantize(&model, values, rfy_inputs(&model), input), RFY_NO_UNITS);
    equal("no step", rfy_output_step(&model) == 0, 1);
}

static void classes(void)
{
    const int32_t logits[4] = {-3, 8, 8, 1}, lowest[2] = {INT32_MIN, INT32_MIN};
    equal("argmax", (long)rfy_argmax(logits, 4), 1);
    equal("argmax of one", (long)rfy_argmax(logits, 1), 0);
    equal("argmax of the lowest", (long)rfy_argmax(lowest, 2), 0);
    equal("argmax of none", (long)rfy_argmax(logits, 0), 0);
    equal("argmax of null", (long)rfy_argmax(NULL, 4), 0);
}

static void strings(void)
{
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        equal(messages[i].text, strcmp(rfy_error_string(messages[i].code), messages[i].text), 0);
    }
    equal("code -1", strcmp(rfy_error_string(-1), "an unknown error code"), 0);
    equal("code 99", strcmp(rfy_error_string(99), "an unknown error code"), 0);
}

int main(int count, char **arguments)
{
    static uint32_t container[WORDS], other[WORDS];
    if (count != 4) {
        return 2;
    }
    const size_t length = load(arguments[2], container), other_length = load(arguments[3], other);
    equal("size of a model", (long)sizeof(rfy_model), (long)(RFY_MODEL_WORDS * sizeof(void *)));
    parse(container, length, other, other_length);
    infer(container, length);
    if (strcmp(arguments[1], "checked") == 0) {
        pointers(container, length);
    }
    if (strcmp(arguments[1], "units") == 0) {
        units(container, length);
    } else {
        without_units(container, length);
    }
    classes();
    strings();
    if (failures == 0) {
        printf("all %d checks hold\n", checks);
    }
    return failures != 0;
}

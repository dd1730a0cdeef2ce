/*
 * Rarefy's engine for C99 and C++: runs .rfy containers in place, without a heap and without
 * global variables.
 *
 *     static const uint8_t input[784];            // one byte per value
 *     static uint32_t arena[94];                  // at least rfy_arena_bytes(&model) bytes
 *
 *     rfy_model model;
 *     const int32_t *logits;
 *     int32_t error = rfy_model_parse(&model, container, container_bytes);
 *     if (error == RFY_OK) {
 *         error = rfy_infer(&model, input, sizeof input, arena, sizeof arena, &logits);
 *     }
 *     if (error == RFY_OK) {
 *         class_index = rfy_argmax(logits, rfy_outputs(&model));
 *     }
 *
 * Every function may be called from several threads or interrupts, as long as each call has its
 * own arena. The library is built with all encodings and layers or with some of them; see
 * firmware/c/README.md.
 */
#ifndef RAREFY_H
#define RAREFY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The error codes, and the messages that rfy_error_string returns for them. */

/* no error */
#define RFY_OK 0
/* a pointer is null */
#define RFY_NULL 1
/* the container has a length of 0 bytes */
#define RFY_EMPTY 2
/* the container, the arena or a struct is misaligned: align the bytes to 4 */
#define RFY_MISALIGNED 3
/* the bytes are not a .rfy container */
#define RFY_NO_MODEL 4
/* the container has a version of the format that this library does not read */
#define RFY_VERSION 5
/* the container is damaged or incomplete */
#define RFY_DAMAGED 6
/* the model needs a feature that this library was built without */
#define RFY_UNSUPPORTED 7
/* the model has not been parsed successfully */
#define RFY_NOT_PARSED 8
/* the input does not have as many bytes as rfy_inputs returns */
#define RFY_INPUT_LENGTH 9
/* the arena has fewer bytes than rfy_arena_bytes returns */
#define RFY_ARENA_TOO_SMALL 10
/* memory overlaps or exceeds the address space */
#define RFY_OVERLAP 11
/* the container does not state what its numbers stand for */
#define RFY_NO_UNITS 12

/* The size of an rfy_model in machine words. */
#define RFY_MODEL_WORDS 10

/*
 * A parsed model: a view of the container's bytes, which must stay where they are. It may be copied.
 * Its words are private. A model that was not parsed must be zeroed before another function gets it.
 */
typedef struct rfy_model {
    uintptr_t words[RFY_MODEL_WORDS];
} rfy_model;

/*
 * Checks a container of `length` bytes, aligned to 4 bytes, in time linear in its length, and
 * prepares `model` for inferences. Returns RFY_OK or an error code.
 */
int32_t rfy_model_parse(rfy_model *model, const void *bytes, size_t length);

/* Returns the number of bytes of an input, or 0 if the model is null or not parsed. */
size_t rfy_inputs(const rfy_model *model);

/* Returns the number of logits: one per class; 0 if the model is null or not parsed. */
size_t rfy_outputs(const rfy_model *model);

/*
 * Returns the size of the arena in bytes: the memory that an inference needs besides its input; 0
 * if the model is null or not parsed.
 */
size_t rfy_arena_bytes(const rfy_model *model);

/*
 * Computes the logits for an input of `input_bytes` bytes, which must be as many as rfy_inputs
 * returns, and stores in `logits` where they are: in the arena, so until it is written again. The
 * arena is aligned to 4 bytes and need not be cleared. Returns RFY_OK or an error code; after an
 * error, `logits` is set to null.
 */
int32_t rfy_infer(const rfy_model *model, const uint8_t *input, size_t input_bytes, void *arena,
                  size_t arena_bytes, const int32_t **logits);

/*
 * Converts `count` numbers in the units of the data that the network was trained on, such as a
 * sensor's readings, to the bytes of an input; both have rfy_inputs elements. Returns RFY_OK, or
 * RFY_NO_UNITS if the container does not state its units (rarefy export --units always).
 */
int32_t rfy_quantize(const rfy_model *model, const float *values, size_t count, uint8_t *input);

/*
 * Returns what a logit of 1 stands for: an output in its own units is its logit times this step.
 * Returns 0 if the container does not state it, or if the model is null or not parsed.
 */
float rfy_output_step(const rfy_model *model);

/*
 * Returns the class: the index of the largest of `count` logits, or of the first one in a tie; 0 if
 * there are none or if the pointer is null.
 */
size_t rfy_argmax(const int32_t *logits, size_t count);

/* Returns the message of an error code. */
const char *rfy_error_string(int32_t error);

#ifdef __cplusplus
}
#endif

#endif

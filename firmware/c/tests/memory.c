/* The two functions that GCC may call in a program without a C library. */
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

/* Optimized, the loops would become calls of these very functions. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

void *memcpy(void *to, const void *from, size_t bytes)
{
    unsigned char *next = (unsigned char *)to;
    const unsigned char *source = (const unsigned char *)from;
    while (bytes-- > 0) {
        *next++ = *source++;
    }
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    unsigned char *next = (unsigned char *)to;
    while (bytes-- > 0) {
        *next++ = (unsigned char)value;
    }
    return to;
}

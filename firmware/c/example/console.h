/* Output and exit through semihosting: the emulator's, or that of a debugger. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdint.h>

/* Prints a text. */
void print(const char *text);

/* Prints a number. */
void print_number(int32_t number);

/* Ends the program; 0 means success. */
void leave(int status);

#endif

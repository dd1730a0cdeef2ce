# The engine, and containers in programs:
#
#     include(path/to/rarefy.cmake)
#     target_link_libraries(my_program PRIVATE rarefy)
#     rarefy_model(my_program digits model.rfy)
#
# `rarefy` is the library beside this file, with its header. `rarefy_model` adds to `my_program` the
# container as `const uint8_t digits[]` in flash, aligned to 4 bytes, and the header digits.h with
# this array, its length DIGITS_BYTES and DIGITS_ARENA_BYTES, the size of the arena. The project must
# have enabled the languages C and ASM.
if(NOT TARGET rarefy)
    add_library(rarefy STATIC IMPORTED GLOBAL)
    set_target_properties(rarefy PROPERTIES
        IMPORTED_LOCATION "${CMAKE_CURRENT_LIST_DIR}/librarefy.a"
        INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_LIST_DIR}"
        INTERFACE_LINK_LIBRARIES gcc)
endif()

function(rarefy_model target name file)
    get_filename_component(file "${file}" ABSOLUTE)
    if(NOT EXISTS "${file}")
        message(FATAL_ERROR "there is no container ${file}")
    endif()
    file(READ "${file}" magic LIMIT 3 HEX)
    file(SIZE "${file}" bytes)
    if(NOT magic STREQUAL "524659" OR bytes LESS 16)
        message(FATAL_ERROR "${file} is not a .rfy container")
    endif()
    # Configure again when the container changes.
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    # Bytes 9 to 11 of the header: the size of the arena in words.
    file(READ "${file}" arena OFFSET 9 LIMIT 3 HEX)
    string(REGEX REPLACE "(..)(..)(..)" "0x\\3\\2\\1" arena "${arena}")
    math(EXPR arena "4 * ${arena}")
    string(TOUPPER "${name}" upper)
    set(folder "${CMAKE_CURRENT_BINARY_DIR}/rarefy")
    file(CONFIGURE OUTPUT "${folder}/${name}.h" @ONLY CONTENT
"/* The container @file@. */
#ifndef @upper@_H
#define @upper@_H
#include <stdint.h>
#define @upper@_BYTES @bytes@
#define @upper@_ARENA_BYTES @arena@
#ifdef __cplusplus
extern \"C\"
#endif
extern const uint8_t @name@[@upper@_BYTES];
#endif
")
    file(CONFIGURE OUTPUT "${folder}/${name}.S" @ONLY CONTENT
"    .section .rodata.@name@, \"a\"
    .balign 4
    .global @name@
@name@:
    .incbin \"@file@\"
    .section .note.GNU-stack, \"\", %progbits
")
    set_property(SOURCE "${folder}/${name}.S" APPEND PROPERTY OBJECT_DEPENDS "${file}")
    target_sources(${target} PRIVATE "${folder}/${name}.S")
    target_include_directories(${target} PRIVATE "${folder}")
endfunction()

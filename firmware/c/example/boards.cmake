# The processor, the memories and the startup code of a board.
function(rarefy_board target)
    if(BOARD STREQUAL "mps2-an386")
        set(flags -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard)
    elseif(BOARD STREQUAL "microbit")
        set(flags -mcpu=cortex-m0)
    else()
        message(FATAL_ERROR "BOARD must be mps2-an386 or microbit, not ${BOARD}")
    endif()
    list(APPEND flags -mthumb)
    set(here "${CMAKE_CURRENT_FUNCTION_LIST_DIR}")
    target_sources(${target} PRIVATE "${here}/startup.c" "${here}/console.c")
    target_include_directories(${target} PRIVATE "${here}")
    target_compile_options(${target} PRIVATE ${flags} -ffreestanding -ffunction-sections -fdata-sections
        $<$<COMPILE_LANGUAGE:C>:-std=c99 -Wall -Wextra -Wpedantic -Werror -O2>)
    # The memories are those of the board's folder, which the linker script includes.
    target_link_options(${target} PRIVATE ${flags} -nostdlib -Wl,--gc-sections -Wl,--no-warn-execstack
        "-T${here}/program.ld" "-L${here}/../../boards/${BOARD}")
endfunction()

# SPDX-License-Identifier: Apache-2.0
# Language, warnings and sanitizers for everything built here.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

add_library(skua_flags INTERFACE)
target_compile_definitions(skua_flags INTERFACE _GNU_SOURCE)
target_compile_options(skua_flags INTERFACE
    -Wall -Wextra -Wshadow -Wpointer-arith
    -fno-omit-frame-pointer
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
    $<$<BOOL:${SKUA_WERROR}>:-Werror>)

if(SKUA_SANITIZE STREQUAL "address")
    set(skua_sanitize_flags -fsanitize=address,undefined
        -fno-sanitize-recover=undefined)
elseif(SKUA_SANITIZE STREQUAL "thread")
    set(skua_sanitize_flags -fsanitize=thread)
elseif(NOT SKUA_SANITIZE STREQUAL "")
    message(FATAL_ERROR "SKUA_SANITIZE: address, thread, or empty")
endif()
if(skua_sanitize_flags)
    target_compile_options(skua_flags INTERFACE ${skua_sanitize_flags})
    target_link_options(skua_flags INTERFACE ${skua_sanitize_flags})
    set(SKUA_JEMALLOC OFF) # the sanitizers bring their own allocator
endif()

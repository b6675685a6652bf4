# SPDX-License-Identifier: Apache-2.0
# The library, static (position independent) and shared, from one set of
# objects; and a static one for unit tests.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(CK REQUIRED IMPORTED_TARGET ck)
# ck is used by its headers alone: nothing of it is needed to link a program.
# jemalloc must come before libc among a program's libraries to serve it, so
# programs link it themselves, through skua.pc or the CMake package.
set(skua_private_libraries m)
set(skua_public_libraries Threads::Threads)
set(SKUA_PC_LIBS "")
set(SKUA_PC_LIBS_PRIVATE "")
# The cluster executor brings libnats and with it OpenSSL. Of the static library
# only programs that use it are linked to them.
set(skua_has_nats OFF)
if(SKUA_NATS STREQUAL "AUTO")
    pkg_check_modules(NATS QUIET libnats>=3.4)
elseif(SKUA_NATS)
    pkg_check_modules(NATS REQUIRED libnats>=3.4)
endif()
if(SKUA_NATS AND NATS_FOUND)
    set(skua_has_nats ON)
    list(APPEND skua_private_libraries
        "-Wl,--push-state,--as-needed,-lnats,--pop-state")
    set(SKUA_PC_LIBS_PRIVATE
        " -Wl,--push-state,--as-needed,-lnats,--pop-state")
endif()
message(STATUS "skua: NATS: ${skua_has_nats}")
if(SKUA_JEMALLOC)
    pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)
    list(APPEND skua_public_libraries jemalloc)
    set(SKUA_PC_LIBS " -Wl,--no-as-needed -ljemalloc -Wl,--as-needed")
endif()

file(GLOB_RECURSE skua_sources CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/sched/*.c ${PROJECT_SOURCE_DIR}/sched/*.S
     ${PROJECT_SOURCE_DIR}/io/*.c)
file(GLOB_RECURSE skua_headers CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/include/*.h)

if(skua_has_nats)
    list(FILTER skua_sources EXCLUDE REGEX "/executor/nats/absent\\.c$")
else()
    list(FILTER skua_sources EXCLUDE REGEX "/executor/nats/")
    list(APPEND skua_sources
        ${PROJECT_SOURCE_DIR}/sched/executor/nats/absent.c)
endif()

add_library(skua_objects OBJECT ${skua_sources})
set_target_properties(skua_objects PROPERTIES
    POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
target_include_directories(skua_objects
    PRIVATE ${PROJECT_SOURCE_DIR} PUBLIC ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(skua_objects
    PRIVATE skua_flags PkgConfig::CK)
# Flags for C do not reach assembly: whether branch targets are checked does.
include(CheckCSourceCompiles)
check_c_source_compiles("
#ifndef __ARM_FEATURE_BTI_DEFAULT
#error no branch target identification
#endif
int main(void) { return 0; }" SKUA_BRANCH_TARGETS)
if(SKUA_BRANCH_TARGETS)
    target_compile_options(skua_objects PRIVATE
        $<$<COMPILE_LANGUAGE:ASM>:-mbranch-protection=bti>)
endif()
if(SKUA_GENERIC_SWITCH)
    target_compile_definitions(skua_objects PRIVATE SKUA_GENERIC_SWITCH)
endif()
if(SKUA_SANITIZE STREQUAL "thread")
    # ck's inline assembly is invisible to the race detector: the file calls
    # its annotations instead (sched/ck_adapter.c).
    set_source_files_properties(${PROJECT_SOURCE_DIR}/sched/ck_adapter.c
        PROPERTIES COMPILE_OPTIONS -fno-sanitize=thread
        COMPILE_DEFINITIONS SKUI_TSAN)
endif()

function(skua_library name kind)
    add_library(${name} ${kind} $<TARGET_OBJECTS:skua_objects>)
    target_include_directories(${name} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    set_target_properties(${name} PROPERTIES OUTPUT_NAME skua)
endfunction()

skua_library(skua SHARED)
set_target_properties(skua PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
    LINKER_LANGUAGE C)
target_link_libraries(skua
    PRIVATE ${skua_private_libraries} PUBLIC ${skua_public_libraries})
if(skua_sanitize_flags)
    target_link_options(skua PRIVATE ${skua_sanitize_flags})
endif()
target_link_options(skua PRIVATE -Wl,-z,now)
add_library(skua::skua ALIAS skua)

skua_library(skua_static STATIC)
target_link_libraries(skua_static
    PUBLIC ${skua_private_libraries} ${skua_public_libraries})
add_library(skua::skua_static ALIAS skua_static)

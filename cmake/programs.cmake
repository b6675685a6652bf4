# SPDX-License-Identifier: Apache-2.0
# Programs that are installed: each uses the public headers only.
if(skua_has_nats)
    add_executable(skua_worker ${PROJECT_SOURCE_DIR}/programs/skua_worker.c)
    set_target_properties(skua_worker PROPERTIES OUTPUT_NAME skua-worker)
    target_link_libraries(skua_worker PRIVATE skua skua_flags ${CMAKE_DL_LIBS})
    install(TARGETS skua_worker)
endif()

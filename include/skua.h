/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Skua: Python asyncio's programming model for C, on every core.
 */
#ifndef SKUA_H
#define SKUA_H

#include <skua/debug.h>
#include <skua/buffer.h>
#include <skua/cancel_token.h>
#include <skua/context.h>
#include <skua/exception.h>
#include <skua/executor.h>
#include <skua/executor_type.h>
#include <skua/function.h>
#include <skua/future.h>
#include <skua/gather.h>
#include <skua/loop.h>
#include <skua/map.h>
#include <skua/memory.h>
#include <skua/nats.h>
#include <skua/process_pool.h>
#include <skua/queue.h>
#include <skua/runner.h>
#include <skua/socket.h>
#include <skua/status.h>
#include <skua/sync.h>
#include <skua/task.h>
#include <skua/task_group.h>
#include <skua/time.h>
#include <skua/timeout.h>
#include <skua/thread_pool.h>
#include <skua/types.h>
#include <skua/wait.h>

#endif

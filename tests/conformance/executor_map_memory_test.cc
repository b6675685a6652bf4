/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor_map_memory_test.cc - X-09: maps when memory is short: each
 * allocation fails in turn. The call gives -ENOMEM, or the results end with it,
 * and nothing is left behind.
 */
#include <atomic>

#include "failing_allocator.h"
#include "held_objects.h"
#include "maps.h"

#include "sched/memory.h"

namespace conformance
{
namespace
{

/** The library's allocator here. */
class Allocator
{
  public:
    static inline std::atomic<bool> slabs_fail = false; /* no new objects */
    static inline std::atomic<bool> always = false;
    static inline std::atomic<int> left = 0; /* the one that reaches 0 fails */
    static inline thread_local bool counts = false; /* only the test's own */

    static bool fails(size_t bytes)
    {
        return always || (slabs_fail && bytes >= kSlab) ||
               (counts && left > 0 && left.fetch_sub(1) == 1);
    }

  private:
    static constexpr size_t kSlab = 64 * size_t{1024};
};

/** As failing_allocator.h, but it knows how much is in use. */
std::atomic<int64_t> in_use = 0;

void *allocate(void *, size_t bytes)
{
    void *pointer = Allocator::fails(bytes) ? nullptr : malloc(bytes);

    in_use += pointer != nullptr ? 1 : 0;
    return pointer;
}

void *resize(void *, void *pointer, size_t bytes)
{
    void *larger = Allocator::fails(bytes) ? nullptr : realloc(pointer, bytes);

    in_use += pointer == nullptr && larger != nullptr ? 1 : 0;
    return larger;
}

void release(void *, void *pointer)
{
    in_use -= pointer != nullptr ? 1 : 0;
    free(pointer);
}

int install()
{
    static const skua_allocator allocator = {allocate, resize, release,
                                             nullptr};

    return skua_set_allocator(&allocator);
}

const int installed = install();
const int registered = skua_function_register("map-memory.picky", picky);

constexpr skui_object_class kClasses[] = {SKUI_OBJECT_FUTURE, SKUI_OBJECT_JOB,
                                          SKUI_OBJECT_WAITER};

using Held = HeldObjects<Allocator>;

std::vector<size_t> free_objects()
{
    return free_objects_of<Allocator>(kClasses);
}

/** Runs jobs in the thread that submits: nothing else allocates. */
class Direct
{
  public:
    Direct()
    {
        EXPECT_EQ(0, skua_executor_new(&kType, this, &executor_));
    }

    ~Direct()
    {
        EXPECT_EQ(0, skua_executor_shutdown(executor_, true, false));
        skua_executor_unref(executor_);
    }

    Direct(const Direct &) = delete;
    Direct &operator=(const Direct &) = delete;

    [[nodiscard]] skua_executor *get() const
    {
        return executor_;
    }

  private:
    static int submit(void *, skua_job *job)
    {
        skua_job_run(job);
        return 0;
    }

    static void shutdown(void *arg, bool)
    {
        (void)skua_executor_ended(static_cast<Direct *>(arg)->executor_);
    }

    static void release(void *)
    {
    }

    static constexpr skua_executor_type kType = {
        "direct", submit, shutdown, release, nullptr, nullptr, nullptr};
    skua_executor *executor_ = nullptr;
};

/** Call it in a frame of its own, so that no exception stays current here. */
void apart(Body body)
{
    (void)skua_call(
        [](void *arg) {
            (*static_cast<Body *>(arg))();
            return 0;
        },
        &body, nullptr);
}

/** A map of functions, then named pieces, all results taken: how it ended. */
int run_map_here(skua_executor *executor, const skua_map_options &options)
{
    const std::string text(300, 't');
    size_t index = 0;
    auto next = [&](skua_work *out_work) {
        if (index == 60) {
            return 0;
        }
        if (index < 30) {
            out_work->fn = triple;
            out_work->arg = as_pointer(static_cast<intptr_t>(index));
        } else {
            out_work->name = "map-memory.picky";
            out_work->data = text.data();
            out_work->bytes = text.size();
        }
        index++;
        return 1;
    };
    skua_map *map = nullptr;
    intptr_t taken = 0;
    void *result = nullptr;
    int status = skua_executor_map_source(
        executor,
        [](void *arg, skua_work *out_work) {
            return (*static_cast<decltype(next) *>(arg))(out_work);
        },
        &next, &options, &map);

    if (status < 0) {
        EXPECT_EQ(nullptr, map);
        return status;
    }
    while ((status = skua_map_next(map, &result)) == 1) {
        if (taken < 30) {
            EXPECT_EQ(3 * taken, as_int(result));
        }
        taken++;
    }
    EXPECT_EQ(0, skua_map_next(map, nullptr));
    EXPECT_EQ(status == 0, taken == 60);
    skua_map_close(map);
    return status;
}

int run_map(skua_executor *executor, const skua_map_options &options)
{
    int status = 0;

    apart([&] { return status = run_map_here(executor, options); });
    return status;
}

class ExecutorMapMemory : public testing::TestWithParam<size_t>
{
  protected:
    ExecutorMapMemory()
    {
        submit_.key = "key";
        options_.submit = &submit_;
        options_.chunksize = GetParam();
        options_.buffersize = 20;
    }

    skua_submit_options submit_ = {};
    skua_map_options options_ = {};
    Direct direct_;
};

TEST_P(ExecutorMapMemory, X09_EachAllocationMayFail)
{
    std::vector<size_t> objects;
    int64_t before = 0;
    int failures = 0;

    ASSERT_EQ(0, installed);
    EXPECT_EQ(0, run_map(direct_.get(), options_)); /* objects are there */
    objects = free_objects();
    before = in_use;
    Allocator::counts = true;
    for (bool failed = true; failed; failures += failed ? 1 : 0) {
        Allocator::left = failures + 1;
        const int status = run_map(direct_.get(), options_);

        failed = Allocator::left == 0;
        Allocator::left = 0;
        /* A reply that cannot grow, or a copy: what picky() makes of it. */
        EXPECT_EQ(failed ? -ENOMEM : 0, status) << failures;
        EXPECT_EQ(before, in_use) << failures;
    }
    Allocator::counts = false;
    EXPECT_EQ(objects, free_objects());
    EXPECT_LT(10, failures);
}

TEST_P(ExecutorMapMemory, X09_ObjectsMayBeShort)
{
    EXPECT_EQ(0, run_map(direct_.get(), options_));
    const std::vector<size_t> objects = free_objects();
    const int64_t before = in_use;
    const size_t jobs = GetParam() == 100 ? 2 : 60 / GetParam();

    for (const skui_object_class which :
         {SKUI_OBJECT_JOB, SKUI_OBJECT_WAITER}) {
        for (size_t spare = 0; spare < 4; spare++) {
            int status = 0;

            {
                const Held held(which, spare);

                Allocator::slabs_fail = true;
                status = run_map(direct_.get(), options_);
                Allocator::slabs_fail = false;
            }
            /* One for each job; one for each job of functions. */
            if (which == SKUI_OBJECT_JOB ? spare < jobs
                                         : spare == 0 && GetParam() > 1) {
                EXPECT_EQ(-ENOMEM, status) << which << " " << spare;
            } else {
                EXPECT_EQ(0, status) << which << " " << spare;
            }
            EXPECT_EQ(before, in_use);
            EXPECT_EQ(objects, free_objects());
        }
    }
}

/** Take `taken` results of a map whose 30th piece fails, and close it. */
void take_some(skua_executor *executor, const skua_map_options &options,
               int taken)
{
    const std::vector<void *> args = numbers(50);
    skua_map *map = nullptr;

    ASSERT_EQ(0, skua_executor_map(
                     executor,
                     [](void *arg) {
                         return as_int(arg) == 30 ? skua_raise(-EIO, "thirty")
                                                  : 0;
                     },
                     args.data(), args.size(), &options, &map));
    for (int i = 0; i < taken; i++) {
        EXPECT_EQ(i < 29 ? 1 : i == 29 ? -EIO : 0, skua_map_next(map, nullptr));
    }
    skua_map_close(map);
}

TEST_P(ExecutorMapMemory, X09_AMapThatEndsEarlyLeavesNothing)
{
    apart([&] {
        take_some(direct_.get(), options_, 50);
        return 0;
    });
    const std::vector<size_t> objects = free_objects();
    const int64_t before = in_use;

    for (int taken = 0; taken < 50; taken++) {
        apart([&] {
            take_some(direct_.get(), options_, taken);
            return 0;
        });
        EXPECT_EQ(before, in_use) << taken;
    }
    EXPECT_EQ(objects, free_objects());
}

INSTANTIATE_TEST_SUITE_P(Chunks, ExecutorMapMemory,
                         testing::Values(1, 2, 7, 100));

} // namespace
} // namespace conformance

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * held_objects.h - takes and counts the free objects of the library's classes,
 * for tests whose allocator has `always`: whether nothing is to be had.
 */
#ifndef TESTS_CONFORMANCE_HELD_OBJECTS_H
#define TESTS_CONFORMANCE_HELD_OBJECTS_H

#include <cstddef>
#include <vector>

#include "sched/memory.h"

namespace conformance
{

/** Holds all free objects of a class, but for some. */
template <class Allocator> class HeldObjects
{
  public:
    explicit HeldObjects(skui_object_class which, size_t spare = 0)
        : which_(which)
    {
        void *object = nullptr;

        Allocator::always = true;
        while ((object = skui_object_get(which)) != nullptr) {
            objects_.push_back(object);
        }
        Allocator::always = false;
        found_ = objects_.size();
        for (size_t i = 0; i < spare && !objects_.empty(); i++) {
            skui_object_put(which_, objects_.back());
            objects_.pop_back();
        }
    }

    ~HeldObjects()
    {
        for (void *object : objects_) {
            skui_object_put(which_, object);
        }
    }

    HeldObjects(const HeldObjects &) = delete;
    HeldObjects &operator=(const HeldObjects &) = delete;

    /** How many were free. */
    [[nodiscard]] size_t found() const
    {
        return found_;
    }

  private:
    skui_object_class which_;
    std::vector<void *> objects_;
    size_t found_ = 0;
};

/** How many objects of each class are free. */
template <class Allocator, size_t count>
std::vector<size_t> free_objects_of(const skui_object_class (&classes)[count])
{
    std::vector<size_t> counts;

    for (const skui_object_class which : classes) {
        counts.push_back(HeldObjects<Allocator>(which).found());
    }
    return counts;
}

} // namespace conformance

#endif

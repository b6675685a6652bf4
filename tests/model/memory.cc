// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace model
{
namespace
{

constexpr uint64_t kFirstPlace = uint64_t{1} << 40;
constexpr uint64_t kPlaceStep = uint64_t{1} << 20;

uint64_t ReadBytes(const volatile void *address, size_t bytes)
{
    uint64_t value = 0;

    std::memcpy(&value, const_cast<const void *>(address), bytes);
    return value;
}

uint64_t Truncate(uint64_t value, size_t bytes)
{
    return bytes == 8 ? value : value & ((uint64_t{1} << (8 * bytes)) - 1);
}

} // namespace

bool Acquires(Order order)
{
    return order == Order::kAcquire || order == Order::kAcqRel ||
           order == Order::kSeqCst;
}

bool Releases(Order order)
{
    return order == Order::kRelease || order == Order::kAcqRel ||
           order == Order::kSeqCst;
}

void Join(Clock &into, const Clock &from)
{
    for (size_t i = 0; i < into.size(); i++) {
        into[i] = std::max(into[i], from[i]);
    }
}

void Join(View &into, const View &from)
{
    if (into.size() < from.size()) {
        into.resize(from.size(), 0);
    }
    for (size_t i = 0; i < from.size(); i++) {
        into[i] = std::max(into[i], from[i]);
    }
}

Memory::Memory(Choose choose) : choose_(std::move(choose))
{
}

void Memory::Begin(int threads)
{
    locations_.clear();
    by_address_.clear();
    accesses_.clear();
    freed_.clear();
    seq_cst_.clear();
    handed_.clear();
    sights_.assign(static_cast<size_t>(threads), Sight{});
    for (size_t i = 0; i < sights_.size(); i++) {
        sights_[i].clock[i] = 1;
    }
    error_.clear();
    detail_.clear();
}

void Memory::Inherit(int from, int to)
{
    Sight &source = sights_[static_cast<size_t>(from)];
    Sight &target = sights_[static_cast<size_t>(to)];

    Join(target.now, source.now);
    Join(target.on_acquire, source.now);
    Join(target.clock, source.clock);
    Join(target.clock_on_acquire, source.clock);
    source.clock[static_cast<size_t>(from)]++;
}

void Memory::Hand(int thread, uintptr_t message)
{
    Sight &sight = sights_[static_cast<size_t>(thread)];
    auto &[view, clock] = handed_[message];

    Join(view, sight.now);
    Join(clock, sight.clock);
    sight.clock[static_cast<size_t>(thread)]++;
}

void Memory::Receive(int thread, uintptr_t message)
{
    Sight &sight = sights_[static_cast<size_t>(thread)];
    const auto &[view, clock] = handed_[message];

    Join(sight.now, view);
    Join(sight.on_acquire, view);
    Join(sight.clock, clock);
    Join(sight.clock_on_acquire, clock);
}

uint64_t &Memory::At(View &view, size_t index)
{
    if (view.size() <= index) {
        view.resize(index + 1, 0);
    }
    return view[index];
}

uint64_t Memory::At(const View &view, size_t index)
{
    return index < view.size() ? view[index] : 0;
}

/* The location, which begins with what lies there. One that plain code has
 * initialised anew begins anew. */
Location &Memory::Find(const volatile void *address, size_t bytes)
{
    const auto where = reinterpret_cast<uintptr_t>(address);
    const uint64_t value = ReadBytes(address, bytes);
    const auto found = by_address_.find(where);

    if (found != by_address_.end()) {
        Location &location = locations_[found->second];

        if (location.bytes == bytes &&
            location.messages.back().value == value) {
            return location;
        }
    }
    by_address_[where] = locations_.size();
    locations_.push_back(
        {where, bytes, {{value, kFirstPlace, false, 0, {}, {}}}});
    return locations_.back();
}

std::vector<size_t> Memory::Readable(const Sight &sight, size_t index,
                                     bool seq_cst) const
{
    const Location &location = locations_[index];
    uint64_t oldest = At(sight.now, index);
    std::vector<size_t> readable;

    if (seq_cst) {
        oldest = std::max(oldest, At(seq_cst_, index));
    }
    for (size_t i = location.messages.size(); i-- > 0;) {
        readable.push_back(i);
        if (location.messages[i].place <= oldest) {
            break;
        }
    }
    return readable;
}

void Memory::Read(Sight &sight, size_t index, const Message &message,
                  Order order)
{
    uint64_t &now = At(sight.now, index);

    now = std::max(now, message.place);
    At(sight.on_acquire, index) = std::max(At(sight.on_acquire, index), now);
    Join(sight.on_acquire, message.view);
    Join(sight.clock_on_acquire, message.clock);
    if (Acquires(order)) {
        Join(sight.now, message.view);
        Join(sight.clock, message.clock);
    }
    if (order == Order::kSeqCst) {
        uint64_t &agreed = At(seq_cst_, index);

        agreed = std::max(agreed, message.place);
    }
    if (std::find(sight.read.begin(), sight.read.end(), index) ==
        sight.read.end()) {
        sight.read.push_back(index);
    }
}

uint64_t Memory::Load(int thread, const volatile void *address, size_t bytes,
                      Order order)
{
    NoteAtomic(thread, address, bytes, false);
    const Location &location = Find(address, bytes);
    const size_t index = by_address_[location.address];
    Sight &sight = sights_[static_cast<size_t>(thread)];
    const std::vector<size_t> readable =
        Readable(sight, index, order == Order::kSeqCst);
    const size_t picked = readable.size() == 1 ? 0 : choose_(readable.size());
    const Message message = location.messages[readable[picked]];

    Read(sight, index, message, order);
    sight.clock[static_cast<size_t>(thread)]++;
    detail_ = picked == 0 ? "" : " (stale by " + std::to_string(picked) + ")";
    return message.value;
}

/* Behind the message `after`. */
void Memory::Write(int thread, size_t index, size_t after, uint64_t value,
                   Order order, const Message *updated)
{
    Location &location = locations_[index];
    Sight &sight = sights_[static_cast<size_t>(thread)];
    std::vector<Message> &messages = location.messages;
    Message message{value, 0, updated != nullptr, thread, {}, {}};

    message.place =
        after + 1 == messages.size()
            ? messages[after].place + kPlaceStep
            : messages[after].place +
                  (messages[after + 1].place - messages[after].place) / 2;
    if (Releases(order)) {
        message.view = sight.now;
        message.clock = sight.clock;
    } else {
        message.view = sight.released;
        message.clock = sight.clock_released;
    }
    if (updated != nullptr) { /* a release sequence goes on */
        Join(message.view, updated->view);
        Join(message.clock, updated->clock);
    }
    At(message.view, index) = message.place;
    At(sight.now, index) = message.place;
    At(sight.on_acquire, index) = message.place;
    if (order == Order::kSeqCst) {
        At(seq_cst_, index) = std::max(At(seq_cst_, index), message.place);
    }
    sight.clock[static_cast<size_t>(thread)]++;
    messages.insert(messages.begin() + static_cast<ptrdiff_t>(after) + 1,
                    std::move(message));
    /* Memory holds what is newest: plain code may read it. */
    std::memcpy(reinterpret_cast<void *>(location.address),
                &messages.back().value, location.bytes);
}

void Memory::Store(int thread, volatile void *address, size_t bytes,
                   uint64_t value, Order order)
{
    NoteAtomic(thread, address, bytes, true);
    const Location &location = Find(address, bytes);
    const size_t index = by_address_[location.address];
    const Sight &sight = sights_[static_cast<size_t>(thread)];
    const std::vector<Message> &messages = location.messages;
    uint64_t oldest = At(sight.now, index);
    std::vector<size_t> places; /* behind which it may come */

    if (order == Order::kSeqCst) {
        oldest = std::max(oldest, At(seq_cst_, index));
    }
    for (size_t i = messages.size(); i-- > 0;) {
        if (i + 1 == messages.size() || !messages[i + 1].glued) {
            places.push_back(i);
        }
        if (messages[i].place <= oldest) {
            break;
        }
    }
    const size_t picked = places.size() == 1 ? 0 : choose_(places.size());

    detail_ = picked == 0 ? "" : " (behind " + std::to_string(picked) + ")";
    Write(thread, index, places[picked], Truncate(value, bytes), order,
          nullptr);
}

uint64_t Memory::Update(int thread, volatile void *address, size_t bytes,
                        const std::function<bool(uint64_t, uint64_t *)> &change,
                        Order success, Order failure)
{
    NoteAtomic(thread, address, bytes, true);
    const Location &location = Find(address, bytes);
    const size_t index = by_address_[location.address];
    Sight &sight = sights_[static_cast<size_t>(thread)];
    std::vector<size_t> candidates;

    for (const size_t i : Readable(sight, index, success == Order::kSeqCst)) {
        uint64_t changed = 0;
        const bool writes = change(location.messages[i].value, &changed);

        if (!writes || i + 1 == location.messages.size() ||
            !location.messages[i + 1].glued) {
            candidates.push_back(i);
        }
    }
    const size_t picked =
        candidates.size() == 1 ? 0 : choose_(candidates.size());
    const Message message = location.messages[candidates[picked]];
    uint64_t changed = 0;
    const bool writes = change(message.value, &changed);

    Read(sight, index, message, writes ? success : failure);
    detail_ = picked == 0 ? "" : " (stale by " + std::to_string(picked) + ")";
    if (writes) {
        Write(thread, index, candidates[picked], Truncate(changed, bytes),
              success, &message);
    } else {
        sight.clock[static_cast<size_t>(thread)]++;
    }
    return message.value;
}

void Memory::FenceSeqCst(int thread)
{
    Sight &sight = sights_[static_cast<size_t>(thread)];

    Join(sight.now, sight.on_acquire);
    Join(sight.clock, sight.clock_on_acquire);
    Join(sight.now, seq_cst_);
    Join(sight.on_acquire, sight.now);
    Join(seq_cst_, sight.now);
    sight.released = sight.now;
    sight.clock_released = sight.clock;
    sight.clock[static_cast<size_t>(thread)]++;
}

void Memory::Membarrier(int thread)
{
    FenceSeqCst(thread);
    for (size_t i = 0; i < sights_.size(); i++) {
        if (static_cast<int>(i) != thread) {
            Inherit(thread, static_cast<int>(i));
            FenceSeqCst(static_cast<int>(i));
            Inherit(static_cast<int>(i), thread);
        }
    }
    FenceSeqCst(thread);
}

bool Memory::HasNews(int thread) const
{
    const Sight &sight = sights_[static_cast<size_t>(thread)];

    return std::any_of(sight.read.begin(), sight.read.end(), [&](size_t index) {
        const std::vector<Message> &messages = locations_[index].messages;
        const uint64_t now = At(sight.now, index);
        const auto seen = std::find_if(
            messages.begin(), messages.end(),
            [now](const Message &message) { return message.place >= now; });

        return messages.back().value != seen->value;
    });
}

void Memory::CatchUp(int thread)
{
    Sight &sight = sights_[static_cast<size_t>(thread)];

    for (const size_t index : sight.read) {
        At(sight.now, index) = locations_[index].messages.back().place;
    }
    sight.read.clear();
}

/* --- plain memory --- */

std::string Memory::Note(int thread, uintptr_t begin, size_t bytes, bool writes,
                         bool atomic)
{
    const Clock &clock = sights_[static_cast<size_t>(thread)].clock;
    const uintptr_t end = begin + bytes;

    for (const auto &[low, high] : freed_) {
        if (begin < high && low < end) {
            return "use after free";
        }
    }
    for (uintptr_t granule = begin / 8; granule <= (end - 1) / 8; granule++) {
        std::vector<Access> &seen = accesses_[granule];
        bool known = false;

        for (Access &access : seen) {
            const bool overlaps = begin < access.end && access.begin < end;
            const auto other = static_cast<size_t>(access.thread);

            if (overlaps && access.thread != thread &&
                (writes || access.writes) && !(atomic && access.atomic) &&
                clock[other] < access.time) {
                return "data race with thread " + std::to_string(other);
            }
            if (access.thread == thread && access.begin == begin &&
                access.end == end && access.writes == writes &&
                access.atomic == atomic) {
                access.time = clock[static_cast<size_t>(thread)];
                known = true;
            }
        }
        if (!known) {
            seen.push_back({begin, end, thread,
                            clock[static_cast<size_t>(thread)], writes,
                            atomic});
        }
    }
    return "";
}

std::string Memory::Plain(int thread, const volatile void *address,
                          size_t bytes, bool writes)
{
    return bytes == 0 ? ""
                      : Note(thread, reinterpret_cast<uintptr_t>(address),
                             bytes, writes, false);
}

void Memory::NoteAtomic(int thread, const volatile void *address, size_t bytes,
                        bool writes)
{
    const std::string found =
        Note(thread, reinterpret_cast<uintptr_t>(address), bytes, writes, true);

    if (error_.empty()) {
        error_ = found;
    }
}

void Memory::Forget(const volatile void *address, size_t bytes, bool freed)
{
    const auto begin = reinterpret_cast<uintptr_t>(address);
    const uintptr_t end = begin + bytes;

    for (auto i = by_address_.begin(); i != by_address_.end();) {
        i = i->first >= begin && i->first < end ? by_address_.erase(i)
                                                : std::next(i);
    }
    for (uintptr_t granule = begin / 8; granule <= (end - 1) / 8; granule++) {
        accesses_.erase(granule);
    }
    std::erase_if(freed_, [&](const auto &range) {
        return range.first < end && begin < range.second;
    });
    if (freed) {
        freed_.emplace_back(begin, end);
    }
}

} // namespace model

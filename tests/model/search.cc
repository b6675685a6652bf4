// SPDX-License-Identifier: Apache-2.0
/*
 * search.cc - the search: one run after the other, depth first.
 *
 * Threads are contexts on stacks of their own, switched by sched/arch, all in
 * one thread of the system. Each stops before an atomic operation and says
 * which one it is (Pending). The search picks who goes on; a load or store with
 * a choice picks as well. All choices of a run are kept in a list; the next run
 * repeats it up to the last choice that has another way to go, and takes that.
 *
 * Sleep sets (Godefroid) leave out runs that differ from others only in the
 * order of operations that do not touch each other: once all runs that begin
 * with an operation have been searched, it sleeps until one that it depends on
 * was done. With a bound on preemptions they would leave out runs that no other
 * stands for, so they are used without a bound only.
 */
#include "search.h"

#include <algorithm>
#include <cstdlib>

namespace model
{

Explorer *the_explorer;

/* --- one run --- */

void Explorer::Enter(void *arg)
{
    auto *context = static_cast<Context *>(arg);
    void *abandoned;

    context->body();
    context->ended = true;
    skui_arch_switch(&abandoned, the_explorer->search_context_);
    std::abort();
}

void Explorer::Resume(int thread)
{
    self_ = thread;
    running_ = true;
    skui_arch_switch(&search_context_,
                     contexts_[static_cast<size_t>(thread)].saved);
    running_ = false;
    self_ = 0;
}

bool Explorer::IsAble(int thread) const
{
    const Context &context = contexts_[static_cast<size_t>(thread)];

    if (context.ended) {
        return false;
    }
    if (context.pending.kind == Kind::kGiveWay) {
        /* Once it goes on in any case: what it has read may be enough. */
        return !context.lapped || memory_.HasNews(thread);
    }
    return context.pending.kind != Kind::kWait || context.pending.may_give_up ||
           context.pending.holds();
}

std::vector<int> Explorer::Able()
{
    std::vector<int> able;

    for (int i = 1; i < static_cast<int>(contexts_.size()); i++) {
        if (IsAble(i)) {
            able.push_back(i);
        }
    }
    return able;
}

bool Explorer::Depend(const Pending &one, const Pending &other) const
{
    const auto is_memory = [](Kind kind) {
        return kind == Kind::kLoad || kind == Kind::kStore ||
               kind == Kind::kUpdate;
    };

    if (one.kind == Kind::kBegin || other.kind == Kind::kBegin) {
        return false;
    }
    if (is_memory(one.kind) && is_memory(other.kind)) {
        return one.address == other.address &&
               (one.kind != Kind::kLoad || other.kind != Kind::kLoad);
    }
    if (one.kind == Kind::kGiveWay || other.kind == Kind::kGiveWay) {
        const Kind kind = one.kind == Kind::kGiveWay ? other.kind : one.kind;

        return kind != Kind::kLoad && kind != Kind::kGiveWay;
    }
    return true; /* barriers and waiting look at everything */
}

/* Who goes on of those who can; `voluntary`: the last one need not go on. */
int Explorer::PickThread(const std::vector<int> &able, bool voluntary)
{
    std::vector<int> ways = able;
    const auto current = std::find(ways.begin(), ways.end(), current_);

    if (current != ways.end() && !voluntary) {
        std::iter_swap(ways.begin(), current);
        if (options_.preemptions >= 0 && preemptions_ >= options_.preemptions) {
            ways.resize(1);
        }
    }
    if (options_.random_runs > 0) {
        return NoteRandom(true, ways[random_() % ways.size()]);
    }
    if (at_ < choices_.size()) {
        Choice &choice = choices_[at_++];

        sleeping_ = choice.sleeping;
        for (size_t i = 0; i < choice.picked; i++) {
            sleeping_ |= 1U << choice.threads[i];
        }
        return choice.threads[choice.picked];
    }
    if (options_.preemptions < 0) {
        std::erase_if(ways, [this](int thread) {
            return (sleeping_ >> thread & 1) != 0;
        });
        if (ways.empty()) {
            redundant_ = true;
            return able[0];
        }
    }
    if (redundant_ || !options_.replay.empty()) {
        return ways[0];
    }
    Choice choice{true, ways.size(), 0, {}, sleeping_};

    std::copy(ways.begin(), ways.end(), choice.threads.begin());
    choices_.push_back(choice);
    at_++;
    return ways[0];
}

/* So that it can be replayed. */
int Explorer::NoteRandom(bool schedules, int picked)
{
    Choice choice{schedules, 1, 0, {}, 0};

    if (schedules) {
        choice.threads[0] = picked;
    } else {
        choice.picked = static_cast<size_t>(picked);
    }
    choices_.push_back(choice);
    return picked;
}

int Explorer::Next(const std::vector<int> &able)
{
    const bool voluntary =
        current_ < 0 ||
        contexts_[static_cast<size_t>(current_)].pending.kind == Kind::kGiveWay;
    const int thread = PickThread(able, voluntary);

    if (!voluntary && thread != current_ &&
        std::find(able.begin(), able.end(), current_) != able.end()) {
        preemptions_++;
    }
    return thread;
}

size_t Explorer::Pick(size_t count)
{
    if (options_.random_runs > 0) {
        const size_t picked = random_() % count;

        (void)NoteRandom(false, static_cast<int>(picked));
        return picked;
    }
    if (at_ < choices_.size()) {
        return choices_[at_++].picked;
    }
    if (redundant_ || !options_.replay.empty()) {
        return 0;
    }
    choices_.push_back({false, count, 0, {}, 0});
    at_++;
    return 0;
}

void Explorer::Schedule()
{
    for (steps_ = 0; error_.empty(); steps_++) {
        const std::vector<int> able = Able();

        if (able.empty()) {
            break;
        }
        if (steps_ == options_.steps) {
            error_ = "does not end";
            break;
        }
        const int thread = Next(able);
        const Pending done = contexts_[static_cast<size_t>(thread)].pending;

        /* Who sleeps is woken by what it depends on. */
        sleeping_ &= ~(1U << thread);
        for (size_t i = 1; i < contexts_.size(); i++) {
            if ((sleeping_ >> i & 1) != 0 &&
                Depend(done, contexts_[i].pending)) {
                sleeping_ &= ~(1U << i);
            }
        }
        current_ = thread;
        Resume(thread);
    }
}

void Explorer::CheckEnd()
{
    for (size_t i = 1; i < contexts_.size(); i++) {
        if (!contexts_[i].ended) {
            error_ = "deadlock: " + contexts_[i].name + " waits for ever";
            return;
        }
    }
    for (size_t i = 1; i < contexts_.size(); i++) {
        memory_.Inherit(static_cast<int>(i), 0);
    }
    if (finally_) {
        finally_();
    }
    for (const auto &[memory, allocation] : allocations_) {
        if (error_.empty() && !allocation.freed &&
            allocation.destroy == nullptr) {
            error_ = "leaked " + std::to_string(allocation.bytes) + " bytes";
        }
    }
}

void Explorer::Release()
{
    for (const auto &[memory, allocation] : allocations_) {
        if (allocation.destroy != nullptr && error_.empty()) {
            allocation.destroy(memory);
        }
        std::free(memory);
    }
    allocations_.clear();
}

void Explorer::RunOnce()
{
    contexts_.clear();
    contexts_.emplace_back();
    contexts_[0].name = "set-up";
    finally_ = nullptr;
    events_.clear();
    at_ = 0;
    sleeping_ = 0;
    redundant_ = false;
    current_ = -1;
    preemptions_ = 0;
    self_ = 0;
    memory_.Begin(kMaxThreads);
    scenario_(*this);
    for (size_t i = 1; i < contexts_.size(); i++) {
        auto *low = static_cast<char *>(stacks_[i]);

        memory_.Inherit(0, static_cast<int>(i));
        contexts_[i].saved =
            skui_arch_prepare(low, low + kStackBytes, Enter, &contexts_[i]);
    }
    if (error_.empty()) {
        Schedule();
    }
    if (error_.empty()) {
        CheckEnd();
    }
    Release();
}

/* --- all runs --- */

bool Explorer::NextRun()
{
    while (!choices_.empty() &&
           choices_.back().picked + 1 >= choices_.back().count) {
        choices_.pop_back();
    }
    if (choices_.empty()) {
        return false;
    }
    choices_.back().picked++;
    return true;
}

std::string Explorer::TraceText() const
{
    constexpr size_t most = 120;
    const size_t first = events_.size() < most ? 0 : events_.size() - most;
    std::string text;

    if (first > 0) {
        text = "  (" + std::to_string(first) + " steps before)\n";
    }
    for (size_t i = first; i < events_.size(); i++) {
        const Event &event = events_[i];
        const auto thread = static_cast<size_t>(event.thread);

        text += "  " + std::string(thread * 2, ' ') + contexts_[thread].name +
                ": " + event.text + "\n";
    }
    return text;
}

std::string Explorer::ReplayText() const
{
    std::string text;

    for (const Choice &choice : choices_) {
        text +=
            (text.empty() ? "" : ",") +
            std::to_string(choice.schedules ? choice.threads[choice.picked]
                                            : static_cast<int>(choice.picked));
        text += choice.schedules ? "t" : "";
    }
    return text;
}

void Explorer::LoadReplay()
{
    const char *text = options_.replay.c_str();

    while (*text != '\0') {
        char *end;
        const auto number = std::strtoul(text, &end, 10);
        Choice choice{*end == 't', 1, 0, {}, 0};

        if (choice.schedules) {
            choice.threads[0] = static_cast<int>(number);
            end++;
        } else {
            choice.picked = number;
        }
        choices_.push_back(choice);
        text = *end == ',' ? end + 1 : end;
    }
}

/* The run that failed once more, to be told of. */
void Explorer::Trace(Report &report)
{
    report.error = error_;
    error_.clear();
    options_.random_runs = 0;
    options_.replay = report.replay;
    choices_.clear();
    LoadReplay();
    tracing_ = true;
    RunOnce();
    report.trace = TraceText();
    if (error_ != report.error) {
        report.error += " (and not so when it was run again: the scenario "
                        "depends on more than its choices)";
    }
}

Report Explorer::Search()
{
    Report report;
    const bool once = !options_.replay.empty();

    LoadReplay();
    for (;;) {
        const uint64_t seed = random_();

        if (options_.random_runs > 0) {
            random_.seed(seed);
            choices_.clear();
        }
        RunOnce();
        report.runs++;
        report.redundant += redundant_ ? 1 : 0;
        if (!error_.empty()) {
            report.replay = ReplayText();
            Trace(report);
            break;
        }
        if (options_.random_runs > 0 ? report.runs == options_.random_runs
                                     : once || !NextRun()) {
            report.complete = !once;
            break;
        }
        if (report.runs == options_.runs) {
            break;
        }
    }
    return report;
}

std::string Report::text() const
{
    return (error.empty() ? (complete ? "holds" : "not all runs were searched")
                          : error) +
           " after " + std::to_string(runs) + " runs (" +
           std::to_string(redundant) + " redundant)\n" + trace +
           (replay.empty() || replay.size() > 2000
                ? ""
                : "  replay: " + replay + "\n");
}

Report Explore(const Scenario &scenario, const Options &options)
{
    Explorer explorer(scenario, options);

    the_explorer = &explorer;
    Report report = explorer.Search();

    the_explorer = nullptr;
    return report;
}

} // namespace model

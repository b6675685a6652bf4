// SPDX-License-Identifier: Apache-2.0

// sync_tokio - the questions of perf/sync.c put to Tokio, in the same lines:
// sync_tokio [runs]
//
// Build it in a copy of its folder, where .cargo/config.toml finds the crates
// and Cargo writes its files: cargo build --release
//
// Each measured function is a task of the multi-thread runtime, for the thread
// of main() is not one of its workers. Tokio has no event to set and clear:
// Notify keeps one permit, which is what an event does for a single waiter.

use std::future::{self, Future};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio::task::{self, JoinSet};
use tokio::time;

const OPERATIONS: usize = 1_000_000;
const CHILDREN: usize = 1000;
const CAPACITY: usize = 1024;

/// A runtime with its number of workers.
struct Bench {
    runtime: Runtime,
    workers: usize,
    runs: usize,
}

impl Bench {
    fn new(workers: usize, runs: usize) -> Bench {
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_time()
            .build()
            .expect("no runtime");
        Bench {
            runtime,
            workers,
            runs,
        }
    }

    /// Print the median of `runs` runs, each in ns per operation.
    fn report<F>(&self, parameters: &str, run: impl Fn() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut values = Vec::new();
        let parameters = format!("{},loops={}", parameters, self.workers);
        for i in 0..=self.runs {
            let future = run();
            let measured = self.runtime.spawn(async move {
                let start = Instant::now();
                future.await;
                start.elapsed()
            });
            let elapsed = self.runtime.block_on(measured).expect("a run died");
            if i > 0 {
                values.push(elapsed.as_nanos() as f64 / OPERATIONS as f64);
            }
        }
        values.sort_by(f64::total_cmp);
        let last = self.runs - 1;
        let median = (values[last / 2] + values[self.runs / 2]) / 2.0;
        println!("sync tokio {} {:.2} ns", parameters, median);
        println!(
            "# spread sync tokio {} median {:.2} min {:.2} max {:.2} runs {}",
            parameters, median, values[0], values[last], self.runs
        );
    }
}

async fn lock(mutex: Arc<Mutex<()>>, times: usize) {
    for _ in 0..times {
        let _guard = mutex.lock().await;
    }
}

/// Lets the others run while it holds the mutex, so that they have to wait.
async fn lock_yielding(mutex: Arc<Mutex<()>>, times: usize) {
    for _ in 0..times {
        let _guard = mutex.lock().await;
        task::yield_now().await;
    }
}

async fn semaphore(permits: Arc<Semaphore>, times: usize) {
    for _ in 0..times {
        let _permit = permits.acquire().await.expect("closed");
    }
}

async fn event(event: Arc<Notify>) {
    for _ in 0..OPERATIONS {
        event.notify_one();
        event.notified().await;
    }
}

async fn queue_bounded(capacity: usize) {
    let (sender, mut receiver) = mpsc::channel(capacity);
    for i in 0..OPERATIONS {
        sender.send(i).await.expect("closed");
        receiver.recv().await.expect("closed");
    }
}

async fn queue_unbounded() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for i in 0..OPERATIONS {
        sender.send(i).expect("closed");
        receiver.recv().await.expect("closed");
    }
}

/// What one task does without ever waiting.
fn measure_alone(bench: &Bench) {
    let mutex = Arc::new(Mutex::new(()));
    let permits = Arc::new(Semaphore::new(1));
    let notify = Arc::new(Notify::new());
    bench.report("op=lock,tasks=1", || lock(mutex.clone(), OPERATIONS));
    bench.report("op=semaphore,tasks=1", || {
        semaphore(permits.clone(), OPERATIONS)
    });
    bench.report("op=event,tasks=1", || event(notify.clone()));
    bench.report("op=queue,tasks=1,capacity=1024", || queue_bounded(CAPACITY));
    bench.report("op=queue,tasks=1,capacity=unbounded", queue_unbounded);
}

/// Runs both in tasks of their own.
async fn together<F, G>(first: F, second: G)
where
    F: Future<Output = ()> + Send + 'static,
    G: Future<Output = ()> + Send + 'static,
{
    let first = task::spawn(first);
    let second = task::spawn(second);
    first.await.expect("a task died");
    second.await.expect("a task died");
}

/// Two tasks at one object.
fn measure_contended(bench: &Bench) {
    let half = OPERATIONS / 2;
    let mutex = Arc::new(Mutex::new(()));
    let permits = Arc::new(Semaphore::new(1));
    bench.report("op=lock,tasks=2", || {
        together(lock(mutex.clone(), half), lock(mutex.clone(), half))
    });
    bench.report("op=lock+yield,tasks=2", || {
        let mutex = &mutex;
        let holder = move || lock_yielding(mutex.clone(), half);
        together(holder(), holder())
    });
    bench.report("op=semaphore,tasks=2", || {
        let permits = &permits;
        let taker = move || semaphore(permits.clone(), half);
        together(taker(), taker())
    });
}

async fn produce(sender: Sender<usize>) {
    for i in 0..OPERATIONS {
        sender.send(i).await.expect("closed");
    }
}

async fn consume(mut receiver: Receiver<usize>) {
    for _ in 0..OPERATIONS {
        receiver.recv().await.expect("closed");
    }
}

/// Moves the items of one task to another.
async fn pass(capacity: usize) {
    let (sender, receiver) = mpsc::channel(capacity);
    together(produce(sender), consume(receiver)).await;
}

async fn serve(there: Sender<usize>, mut back: Receiver<usize>) {
    for i in 0..OPERATIONS / 2 {
        there.send(i).await.expect("closed");
        back.recv().await.expect("closed");
    }
}

async fn answer(mut there: Receiver<usize>, back: Sender<usize>) {
    for _ in 0..OPERATIONS / 2 {
        let item = there.recv().await.expect("closed");
        back.send(item).await.expect("closed");
    }
}

/// Sends one item to and fro.
async fn bounce() {
    let (there, from_there) = mpsc::channel(1);
    let (back, from_back) = mpsc::channel(1);
    together(serve(there, from_back), answer(from_there, back)).await;
}

fn measure_queues(bench: &Bench) {
    bench.report("op=queue,tasks=2,capacity=1", || pass(1));
    bench.report("op=bounce,tasks=2,capacity=1", bounce);
    bench.report("op=queue,tasks=2,capacity=1024", || pass(CAPACITY));
}

async fn gather() {
    for _ in 0..OPERATIONS / CHILDREN {
        let mut children = Vec::with_capacity(CHILDREN);
        let mut results = [0; CHILDREN];
        for i in 0..CHILDREN {
            children.push(task::spawn(async move { i }));
        }
        for (i, child) in children.into_iter().enumerate() {
            results[i] = child.await.expect("a child died");
        }
        assert_eq!(results[CHILDREN - 1], CHILDREN - 1);
    }
}

async fn group() {
    for _ in 0..OPERATIONS / CHILDREN {
        let mut group = JoinSet::new();
        for _ in 0..CHILDREN {
            group.spawn(async {});
        }
        while let Some(child) = group.join_next().await {
            child.expect("a child died");
        }
    }
}

/// Waits with a limit for what is there already.
async fn timeout() {
    for _ in 0..OPERATIONS {
        time::timeout(Duration::from_secs(3600), future::ready(()))
            .await
            .expect("late");
    }
}

fn measure_groups(bench: &Bench) {
    bench.report("op=gather,children=1000", gather);
    bench.report("op=group,children=1000", group);
    bench.report("op=timeout,tasks=1", timeout);
}

/// The version that Cargo chose.
fn tokio_version() -> &'static str {
    include_str!("../Cargo.lock")
        .split("name = \"tokio\"\nversion = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or("unknown")
}

fn main() {
    let given = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let runs = given.filter(|runs| *runs > 0).unwrap_or(5);
    println!("# tokio-{} runs {}", tokio_version(), runs);
    for workers in 1..=2 {
        let bench = Bench::new(workers, runs);
        measure_alone(&bench);
        measure_contended(&bench);
        measure_queues(&bench);
        measure_groups(&bench);
    }
}

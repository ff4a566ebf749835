//! Tests in which order requests are served, and by how many scans.

use super::super::termination_queue::MOST_INTERRUPTIONS;
use super::*;
use crate::platform::Launch;

const LIMIT: Duration = Duration::from_secs(20);

type Sights = Vec<oneshot::Receiver<Sight>>;

fn ask(give: &ThreadSender<Request>, leader: &Arc<Leader>, count: usize, priority: ScanPriority) -> Sights {
    let send_one = || {
        let (request, sight) = request(leader, Act::Describe { then: None }, priority);
        assert!(give.send(request).is_ok());
        sight
    };
    (0..count).map(|_| send_one()).collect()
}

fn request(leader: &Arc<Leader>, act: Act, priority: ScanPriority) -> (Request, oneshot::Receiver<Sight>) {
    let (answer, sight) = oneshot::channel();
    (Request { leader: Arc::clone(leader), act, leader_exited: false, priority, answer }, sight)
}

/// Scans for this tree alone, and returns the answer.
fn scan(terminator: &mut Terminator, leader: &Arc<Leader>, act: Act, priority: ScanPriority) -> Sight {
    let (request, mut sight) = request(leader, act, priority);
    terminator.serve(&mut Requests::only(request));
    sight.try_recv().unwrap()
}

/// Returns the answer to a deadline by a new thread, and whether it has scanned the process table.
fn stopped_at_a_deadline(leader: &Arc<Leader>) -> (Sight, bool) {
    let act = Act::Describe { then: Some((StopSignal::default(), StopTargets::Members)) };
    let mut terminator = Terminator::default();
    let sight = scan(&mut terminator, leader, act, ScanPriority::Deadline);
    (sight, terminator.scanned > 0)
}

/// Returns how many requests are answered, each of which counts once.
fn answered(sights: &mut Sights) -> usize {
    let count = sights.len();
    sights.retain_mut(|sight| sight.try_recv().is_err());
    count - sights.len()
}

#[tokio::test]
async fn a_batch_waits_for_a_deadline_that_comes_in_the_middle_and_goes_on_all_the_same() {
    const COUNT: usize = SERVED_AT_ONCE + 10;
    let (leader, other) = (Launch::sleeper(), Launch::sleeper());
    let (give, given) = thread_channel();
    let mut requests = Requests::arriving_at(&given);
    let mut batch = ask(&give, &leader, COUNT, ScanPriority::Normal);
    let mut terminator = Terminator::default();

    let (deadlines, others) = requests.take();
    assert_eq!((deadlines.len(), others.len()), (0, COUNT));
    ask(&give, &other, 1, ScanPriority::Deadline);
    assert!(requests.interrupts(), "nothing of the batch is served yet");
    requests.put_back(others);
    for _ in 1..MOST_INTERRUPTIONS {
        let mut urgent = ask(&give, &other, 1, ScanPriority::Deadline);
        terminator.serve(&mut requests);
        assert_eq!((answered(&mut urgent), answered(&mut batch)), (1, 0), "the deadline is served alone");
    }
    let mut urgent = ask(&give, &other, 1, ScanPriority::Deadline);
    terminator.serve(&mut requests);
    assert_eq!(
        (answered(&mut urgent), answered(&mut batch)),
        (1, COUNT),
        "the batch does not wait again: one scan serves both"
    );

    let mut batch = ask(&give, &leader, COUNT, ScanPriority::Normal);
    for _ in 0..MOST_INTERRUPTIONS {
        let (_, others) = requests.take();
        requests.put_back(others);
    }
    let (_, others) = requests.take();
    ask(&give, &other, 1, ScanPriority::Deadline);
    assert!(requests.has_deadline() && !requests.interrupts(), "a batch is not interrupted for ever");
    terminator.serve_others(&mut requests, others, &mut Vec::new());
    assert_eq!(answered(&mut batch), SERVED_AT_ONCE, "the rest waits for the next scan");
    terminator.serve(&mut requests);
    assert_eq!(answered(&mut batch), 0, "the deadline that came meanwhile");
    terminator.serve(&mut requests);
    assert_eq!(answered(&mut batch), COUNT - SERVED_AT_ONCE);
}

#[tokio::test]
async fn a_request_that_comes_during_a_rest_is_kept() {
    let leader = Launch::sleeper();
    let (give, given) = thread_channel();
    let mut requests = Requests::arriving_at(&given);
    let mut sights = ask(&give, &leader, 1, ScanPriority::Deadline);
    requests.rest(Duration::from_millis(1));
    assert!(requests.wait() && requests.has_deadline());
    Terminator::default().serve(&mut requests);
    assert_eq!(answered(&mut sights), 1);
}

#[tokio::test]
async fn the_scan_that_describes_a_tree_sends_the_stop_signal_too() {
    for _ in 0..100 {
        let leader = Launch::sleeper();
        let (sight, has_scanned) = stopped_at_a_deadline(&leader);
        assert!(has_scanned && !sight.is_partial);
        assert_eq!(sight.processes.len(), 1);
        if sight.stop == StopSent::Yes {
            tokio::time::timeout(Duration::from_secs(20), leader.exited()).await.unwrap();
            assert_eq!(leader.tree().findings().scans, 1);
            return;
        }
        // Describing has taken so long that another scan has to send it.
        assert!(!leader.has_exited());
    }
    panic!("the machine has been too slow a hundred times");
}

#[tokio::test]
async fn a_deadline_needs_no_scan_where_the_kernel_lists_the_members() {
    let leader = Launch::sleeper_with(|launch| launch.control_group = true);
    if leader.tree().group.is_none() {
        eprintln!("SKIPPED deadlines by control group: this process may not create any");
        return;
    }
    let (sight, has_scanned) = stopped_at_a_deadline(&leader);
    assert!(sight.is_partial && !has_scanned);
    assert_eq!(sight.processes.len(), 1);
}

/// Starts a tree without a control group, whose second process has opened a session and a process group. Scans until that is seen.
fn tree_with_session(terminator: &mut Terminator) -> (Arc<Leader>, Proc) {
    let leader = Launch::sleeper_with(|launch| {
        launch.args = vec!["-c".into(), "setsid sleep 600 & exec sleep 600".into()];
    });
    let pid = leader.tree().leader;
    let since = Instant::now();
    loop {
        scan(terminator, &leader, Act::Describe { then: None }, ScanPriority::Normal);
        let found: Vec<Pid> = leader.tree().findings().alive.iter().map(|(pid, _)| *pid).collect();
        let other =
            found.into_iter().filter_map(procs::read).find(|proc| proc.session == Some(proc.pid) && proc.pid != pid);
        if let Some(other) = other {
            return (leader, other);
        }
        assert!(since.elapsed() < LIMIT, "the second process has started");
        std::thread::yield_now();
    }
}

fn is_killed(member: &Proc) -> bool {
    let since = Instant::now();
    let is_alive = || procs::read(member.pid).is_some_and(|now| now.start == member.start && !now.is_dead());
    while is_alive() && since.elapsed() < LIMIT {
        std::thread::yield_now();
    }
    !is_alive()
}

#[tokio::test]
async fn what_a_scan_has_stopped_is_killed_without_another_scan() {
    let mut terminator = Terminator::default();
    let (leader, other) = tree_with_session(&mut terminator);
    // As if the first scan had found both.
    leader.tree().findings().grows = false;
    scan(&mut terminator, &leader, Act::Kill, ScanPriority::Normal);
    assert!(leader.tree().findings().frozen.contains(&other.identity()), "the first scan stops the members");
    assert!(leader.tree().findings().killed.is_empty());
    leader.kill_now();
    assert!(is_killed(&other));
    assert!(leader.ended().1.contains("SIGKILL"), "{}", leader.ended().1);
}

#[tokio::test]
async fn a_scan_kills_at_once_when_no_time_is_left() {
    let mut terminator = Terminator::default();
    let (leader, other) = tree_with_session(&mut terminator);
    leader.tree().findings().grows = true;
    leader.tree().findings().is_hurried = true;
    scan(&mut terminator, &leader, Act::Kill, ScanPriority::Normal);
    assert!(leader.tree().findings().killed.contains(&other.identity()));
    assert!(leader.tree().findings().frozen.is_empty(), "a host that exits now leaves no stopped process");
    assert!(is_killed(&other));
}

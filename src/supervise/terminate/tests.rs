use super::*;
use crate::platform::{Launch, TREES_END_WITH_THE_HOST, clock};

const GRACE: Duration = Duration::from_secs(600);
const MOMENT: Duration = Duration::from_millis(1);
const SIGNAL: StopSignal = StopSignal::Term;

fn plan(order: StopOrder) -> StopPlan {
    StopPlan { signal: SIGNAL, order, grace: GRACE }
}

fn describing(leader: &Arc<Leader>) -> Termination {
    Termination::begin(leader, Cause::Stop(Stop::Timeout), plan(StopOrder::default()), None)
}

fn stopping(leader: &Arc<Leader>, order: StopOrder) -> Termination {
    Termination::begin(leader, Cause::Stop(Stop::Cancelled), plan(order), None)
}

/// Returns the termination of a tree in this phase. Nothing was signalled, and no scan is under way.
fn in_phase(leader: &Arc<Leader>, order: StopOrder, phase: TerminationPhase) -> Termination {
    let no_signal = StopPlan { grace: Duration::ZERO, ..plan(order) };
    let mut ending = Termination::begin(leader, Cause::Stop(Stop::Timeout), no_signal, None);
    ending.plan.grace = GRACE;
    ending.phase = phase;
    ending.scan = None;
    ending
}

fn describe_from(now: Instant) -> TerminationPhase {
    TerminationPhase::Describing { stop_at: now + LONGEST_SCAN }
}

fn stop_from(now: Instant) -> TerminationPhase {
    TerminationPhase::Stopping { others_at: now + GRACE / 2, kill_at: now + GRACE }
}

fn kill_from(now: Instant) -> TerminationPhase {
    TerminationPhase::Killing { looked_at: now, unchanged_for: Duration::ZERO, give_up_at: now + GIVE_UP_ANYWAY_AFTER }
}

fn sight(stop: StopSent) -> Sight {
    Sight { stop, ..Sight::default() }
}

#[tokio::test]
async fn a_scan_under_way_is_waited_for() {
    let leader = Launch::sleeper();
    let mut ending = describing(&leader);
    let overdue_at = |ending: &Termination| ending.scan.as_ref().unwrap().overdue_at.unwrap();
    let first = overdue_at(&ending);
    assert!(!ending.tick(false, ending.next_scan + Duration::from_millis(1)));
    assert_eq!(overdue_at(&ending), first, "no second scan has begun");
}

#[tokio::test]
async fn a_tree_is_not_killed_within_its_grace_period() {
    let leader = Launch::sleeper();
    let mut ending = stopping(&leader, StopOrder::default());
    assert!(!ending.tick(false, Instant::now()));
    assert!(!ending.is_killing());
    let TerminationPhase::Stopping { kill_at, .. } = ending.phase else { panic!("it is being stopped") };
    assert!(!ending.tick(false, kill_at));
    assert!(ending.is_killing());
}

#[tokio::test]
async fn the_leader_is_alone_for_half_of_what_is_left_of_the_grace_period() {
    let leader = Launch::sleeper();
    let mut ending = stopping(&leader, StopOrder::Leader);
    ending.kill_sooner(Instant::now() + Duration::from_secs(60));
    let TerminationPhase::Stopping { others_at, .. } = ending.phase else { panic!("it is being stopped") };
    assert!(others_at <= Instant::now() + Duration::from_secs(30), "half of what is left");
}

#[tokio::test]
async fn a_shorter_grace_period_does_not_wait_for_the_description() {
    let leader = Launch::sleeper();
    let mut ending = describing(&leader);
    ending.kill_sooner(Instant::now() + Duration::from_secs(60));
    assert!(ending.deadline() <= Instant::now());
    assert!(!ending.tick(false, Instant::now()));
    assert!(
        matches!(ending.phase, TerminationPhase::Stopping { kill_at, .. } if kill_at <= Instant::now() + Duration::from_secs(60))
    );
    ending.kill_sooner(Instant::now());
    assert!(!ending.tick(false, Instant::now()));
    assert!(ending.is_killing());

    let mut at_once = describing(&leader);
    at_once.kill_sooner(Instant::now());
    assert!(!at_once.tick(false, Instant::now()));
    assert!(at_once.is_killing(), "without a stop signal");
}

#[tokio::test]
async fn a_longer_grace_period_leaves_the_description_its_time() {
    let leader = Launch::sleeper();
    let mut ending = describing(&leader);
    ending.kill_sooner(Instant::now() + Duration::from_secs(3_600));
    assert!(!ending.tick(false, Instant::now()));
    assert!(matches!(ending.phase, TerminationPhase::Describing { stop_at } if stop_at > Instant::now()));
}

#[tokio::test]
async fn the_description_and_the_stop_signal_are_one_scan() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    let act = |order, leader_exited| in_phase(&leader, order, describe_from(now)).act(leader_exited, now);
    let then = |to| Act::Describe { then: Some((SIGNAL, to)) };
    assert_eq!(act(StopOrder::Tree, false), then(StopTargets::Members));
    assert_eq!(act(StopOrder::Leader, false), then(StopTargets::Leader));
    assert_eq!(act(StopOrder::Leader, true), then(StopTargets::Members));
    let mut at_once = in_phase(&leader, StopOrder::Tree, describe_from(now));
    at_once.plan.grace = Duration::ZERO;
    assert_eq!(at_once.act(false, now), Act::Describe { then: None });
}

#[tokio::test]
async fn each_phase_has_its_signal_and_its_targets() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    let act = |order, leader_exited, after| in_phase(&leader, order, stop_from(now)).act(leader_exited, now + after);
    let stop = |to| Act::Stop { signal: SIGNAL, to };
    let first = (GRACE / 2).saturating_sub(MOMENT);
    for after in [Duration::ZERO, first] {
        assert_eq!(act(StopOrder::Tree, false, after), stop(StopTargets::Members));
        assert_eq!(act(StopOrder::Leader, false, after), stop(StopTargets::Leader));
        assert_eq!(act(StopOrder::Leader, true, after), stop(StopTargets::Members));
    }
    for order in [StopOrder::Tree, StopOrder::Leader] {
        assert_eq!(act(order, false, GRACE / 2), stop(StopTargets::Everything));
    }
    assert_eq!(in_phase(&leader, StopOrder::Leader, kill_from(now)).act(false, now), Act::Kill);
}

#[tokio::test]
async fn the_scans_of_a_deadline_come_first_until_the_tree_takes_long() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    let mut timeout = in_phase(&leader, StopOrder::Tree, stop_from(now));
    for _ in 0..6 {
        assert_eq!(timeout.priority(), ScanPriority::Deadline);
        assert!(!timeout.take(Some(sight(StopSent::Yes)), false, now));
    }
    assert_eq!(timeout.pause, SLOWEST_SCAN);
    assert_eq!(timeout.priority(), ScanPriority::Normal);
    assert_eq!(stopping(&leader, StopOrder::Tree).priority(), ScanPriority::Normal);
}

#[tokio::test]
async fn a_tree_is_gone_when_its_leader_has_exited_and_no_member_is_seen() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    for (leader_exited, is_gone) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut ending = in_phase(&leader, StopOrder::Tree, stop_from(now));
        let sight = Sight { is_gone, ..Sight::default() };
        assert_eq!(ending.take(Some(sight), leader_exited, now), leader_exited && is_gone);
    }
    assert!(!in_phase(&leader, StopOrder::Tree, stop_from(now)).take(None, true, now), "a scan that failed");
}

#[tokio::test]
async fn the_description_is_followed_by_the_stop_signal() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    let describing = || in_phase(&leader, StopOrder::Tree, describe_from(now));

    let mut sent = describing();
    assert!(!sent.take(Some(sight(StopSent::Yes)), false, now));
    assert!(matches!(sent.phase, TerminationPhase::Stopping { .. }));
    assert!(sent.scan.is_none(), "the scan has sent it");
    assert_eq!(sent.next_scan, now + SCAN_IN_GRACE);

    let mut impossible = describing();
    assert!(!impossible.take(Some(sight(StopSent::Impossible)), false, now));
    assert!(impossible.is_killing());

    let mut at_once = describing();
    at_once.plan.grace = Duration::ZERO;
    assert!(!at_once.take(Some(sight(StopSent::Yes)), false, now));
    assert!(at_once.is_killing());

    let mut not_sent = describing();
    assert!(!not_sent.take(Some(sight(StopSent::No)), false, now));
    assert!(matches!(not_sent.phase, TerminationPhase::Stopping { .. }));
    assert!(not_sent.scan.is_some(), "another scan sends it");
}

#[tokio::test]
async fn a_tree_that_cannot_be_stopped_is_killed() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    for (stop, is_killing) in [(StopSent::No, false), (StopSent::Yes, false), (StopSent::Impossible, true)] {
        let mut ending = in_phase(&leader, StopOrder::Tree, stop_from(now));
        assert!(!ending.take(Some(sight(stop)), false, now));
        assert_eq!(ending.is_killing(), is_killing, "{stop:?}");
    }
}

#[tokio::test]
async fn scans_follow_fast_when_the_leader_has_exited_or_the_tree_is_killed() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    let next = |phase, leader_exited| {
        let mut ending = in_phase(&leader, StopOrder::Tree, phase);
        [now, now].map(|now| {
            assert!(!ending.take(None, leader_exited, now));
            ending.next_scan - now
        })
    };
    let fast = [FIRST_SCAN, FIRST_SCAN * 2];
    assert_eq!(next(stop_from(now), false), [SCAN_IN_GRACE; 2]);
    assert_eq!(next(stop_from(now), true), fast);
    assert_eq!(next(kill_from(now), false), fast);
    assert_eq!(next(kill_from(now), true), fast);

    let mut ending = in_phase(&leader, StopOrder::Tree, stop_from(now));
    assert!(!ending.take(None, false, now) && !ending.take(None, false, now));
    ending.leader_exited(now);
    assert_eq!((ending.next_scan, ending.pause), (now, FIRST_SCAN));
}

#[tokio::test]
async fn the_others_are_stopped_when_half_of_the_grace_period_is_over() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    let others_at = now + GRACE / 2;
    let next = |after| {
        let mut ending = in_phase(&leader, StopOrder::Leader, stop_from(now));
        assert!(!ending.take(None, false, now + after));
        ending.next_scan
    };
    assert_eq!(next((GRACE / 2).saturating_sub(SCAN_IN_GRACE / 2)), others_at);
    for late in [Duration::ZERO, Duration::from_millis(1)] {
        assert_eq!(next(GRACE / 2 + late), others_at + late + SCAN_IN_GRACE);
    }
    let TerminationPhase::Stopping { others_at, kill_at } = stopping(&leader, StopOrder::Leader).phase else {
        panic!("it is being stopped")
    };
    assert_eq!(kill_at - others_at, GRACE / 2);
}

#[tokio::test]
async fn a_tree_that_does_not_change_is_given_up() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    let take = |ending: &mut Termination, has_changed, at| {
        assert!(!ending.take(Some(Sight { has_changed, ..Sight::default() }), false, at));
        ending.tick(false, at)
    };
    let mut ending = in_phase(&leader, StopOrder::Tree, kill_from(now));
    let change = now + GIVE_UP_AFTER;
    assert!(!take(&mut ending, true, change));
    let mut at = change;
    while at + LONGEST_STEP < change + GIVE_UP_AFTER {
        at += LONGEST_STEP;
        assert!(!take(&mut ending, false, at));
    }
    assert!(!take(&mut ending, false, change + GIVE_UP_AFTER.saturating_sub(MOMENT)));
    assert!(take(&mut ending, false, change + GIVE_UP_AFTER));
    let (killed, ..) = ending.into_report();
    assert!(killed.mechanism.ends_with("unreaped: still there when given up"), "{}", killed.mechanism);
    clock::timeout(Duration::from_secs(60), leader.exited()).await.expect("what is known of it is killed all the same");

    let mut ending = in_phase(&leader, StopOrder::Tree, kill_from(now));
    assert!(!take(&mut ending, true, now + GIVE_UP_ANYWAY_AFTER.saturating_sub(MOMENT)));
    assert!(take(&mut ending, true, now + GIVE_UP_ANYWAY_AFTER), "however much it changes");
}

#[tokio::test]
async fn a_host_that_was_stopped_while_it_killed_a_tree_does_not_give_it_up() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    let mut ending = in_phase(&leader, StopOrder::Tree, kill_from(now));
    let later = now + GIVE_UP_ANYWAY_AFTER.saturating_sub(MOMENT);
    for _ in 0..20 {
        assert!(
            !ending.take(Some(Sight::default()), false, later),
            "one scan has killed, and another has not seen the end"
        );
        assert!(!ending.tick(false, later));
    }
    let much_later = now + GIVE_UP_ANYWAY_AFTER + STOPPED_FOR;
    assert!(!ending.tick(false, much_later));
    assert!(!ending.tick(false, much_later + GIVE_UP_ANYWAY_AFTER.saturating_sub(MOMENT)), "the time has begun again");
    assert!(ending.tick(false, much_later + GIVE_UP_ANYWAY_AFTER));
}

#[tokio::test]
async fn a_pause_of_the_host_counts_little_however_many_scans_there_were() {
    let leader = Launch::sleeper();
    let mut now = Instant::now();
    let mut ending = in_phase(&leader, StopOrder::Tree, kill_from(now));
    let mut look = |pause| {
        now += pause;
        assert!(!ending.take(Some(Sight::default()), false, now));
        ending.tick(false, now)
    };
    for _ in 0..20 {
        assert!(!look(SLOWEST_SCAN));
    }
    assert!(!look(Duration::from_secs(12)), "it has been killed for a second");
    assert!(!look(GIVE_UP_AFTER.saturating_sub(SLOWEST_SCAN * 20 + LONGEST_STEP + LONGEST_STEP)));
}

#[tokio::test]
async fn a_scan_begins_when_it_is_due() {
    let leader = Launch::sleeper();
    let now = Instant::now();
    let mut ending = in_phase(&leader, StopOrder::Tree, kill_from(now));
    ending.next_scan = now + MOMENT;
    assert_eq!(ending.deadline(), now + MOMENT);
    assert!(!ending.tick(false, now));
    assert!(ending.scan.is_none());
    assert!(!ending.tick(false, now + MOMENT));
    assert!(ending.scan.is_some());
}

#[tokio::test]
async fn the_kill_does_not_wait_for_a_scan_that_hangs() {
    let leader = Launch::sleeper();
    let mut ending = stopping(&leader, StopOrder::Tree);
    let TerminationPhase::Stopping { kill_at, .. } = ending.phase else { panic!("it is being stopped") };
    assert!(!ending.tick(false, kill_at));
    assert_eq!(ending.scan.unwrap().overdue_at, Some(kill_at + LONGEST_SCAN), "another scan has begun");
}

#[tokio::test]
async fn the_result_of_a_scan_is_taken_once() {
    let leader = Launch::sleeper();
    let mut ending = stopping(&leader, StopOrder::Tree);
    let sight = ending.scanned().await.unwrap();
    assert!(sight.has_changed, "the leader was seen");
    assert!(ending.scan.is_none());
}

#[tokio::test]
async fn the_time_until_the_kill_is_announced_once_for_each_change() {
    let leader = Launch::sleeper();
    let mut ending = stopping(&leader, StopOrder::Tree);
    assert_eq!(ending.take_announcement(), Some(GRACE));
    assert_eq!(ending.take_announcement(), None);
    let TerminationPhase::Stopping { kill_at, .. } = ending.phase else { panic!("it is being stopped") };
    for no_sooner in [kill_at, kill_at + GRACE] {
        ending.kill_sooner(no_sooner);
        assert_eq!(ending.take_announcement(), None);
        assert!(matches!(ending.phase, TerminationPhase::Stopping { kill_at: at, .. } if at == kill_at));
    }
    ending.kill_sooner(Instant::now() + GRACE / 2);
    assert!(ending.take_announcement().is_some_and(|left| left <= GRACE / 2));
    assert!(!ending.tick(false, kill_at));
    assert_eq!(ending.take_announcement(), Some(Duration::ZERO));
}

#[tokio::test]
async fn the_process_group_is_signalled_once_when_a_scan_is_overdue() {
    let overdue = |leader: &Arc<Leader>, phase: fn(Instant) -> TerminationPhase| {
        let now = Instant::now();
        let mut ending = in_phase(leader, StopOrder::Tree, phase(now));
        // A scan without a result.
        let (_result, sight) = oneshot::channel();
        ending.scan = Some(Scan { sight, overdue_at: Some(now) });
        assert!(!ending.tick(false, now));
        assert!(ending.scan.is_some_and(|scan| scan.overdue_at.is_none()));
    };
    let stopped = Launch::sleeper();
    overdue(&stopped, describe_from);
    assert_eq!(stopped.ended().1, "", "a description is not due");
    overdue(&stopped, stop_from);
    // Where the system ends trees with their host, the stop signal needs a console.
    assert!(TREES_END_WITH_THE_HOST || !stopped.ended().1.is_empty(), "the stop signal was sent");
    let killed = Launch::sleeper();
    overdue(&killed, kill_from);
    clock::timeout(Duration::from_secs(60), killed.exited()).await.expect("it was killed");
}

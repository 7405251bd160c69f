//! Open-loop clients, a gate that lets calls in, and the server behind it.

use super::scenario::{Move, Scenario};
use super::server::Server;
use std::time::Duration;

/// What lets calls in: one place for an adaptive limit, a fixed one, or none.
pub(crate) trait Gate {
    /// Proof that a call was let in.
    type Permit;

    /// Time has gone on.
    fn advance(&mut self, _by: Duration) {}

    fn enter(&mut self) -> Option<Self::Permit>;

    /// The call has ended; `is_late`: its client had given up.
    fn leave(&mut self, permit: Self::Permit, is_late: bool);

    fn limit(&self) -> f64;
}

/// No limit at all.
pub(crate) struct Open;

impl Gate for Open {
    type Permit = ();

    fn enter(&mut self) -> Option<()> {
        Some(())
    }

    fn leave(&mut self, (): (), _: bool) {}

    fn limit(&self) -> f64 {
        f64::INFINITY
    }
}

/// The same limit all the time.
pub(crate) struct Fixed {
    limit: f64,
    in_flight: f64,
}

impl Fixed {
    pub(crate) fn new(limit: f64) -> Self {
        Self { limit: limit.round(), in_flight: 0.0 }
    }
}

impl Gate for Fixed {
    type Permit = ();

    fn enter(&mut self) -> Option<()> {
        let is_free = self.in_flight < self.limit;
        self.in_flight += f64::from(u8::from(is_free));
        is_free.then_some(())
    }

    fn leave(&mut self, (): (), _: bool) {
        self.in_flight -= 1.0;
    }

    fn limit(&self) -> f64 {
        self.limit
    }
}

/// What came of a stretch between two moves of the server, once things had settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) knee: f64,
    /// The limit, averaged over time.
    pub(crate) limit: f64,
    /// Answers in time, beside what the server can give at its knee.
    pub(crate) goodput: f64,
}

/// The part of a stretch that is measured: the last third.
const MEASURED: f64 = 1.0 / 3.0;

struct Call<P> {
    permit: P,
    began: f64,
}

/// Plays a scenario at a load, a multiple of the server's capacity at the time.
pub(crate) fn play<G: Gate>(scenario: &Scenario, load: f64, seed: u64, gate: &mut G) -> Vec<Stretch> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut server = Server::<Call<G::Permit>>::new(scenario.knee, scenario.contention);
    let begin = Move { knee: scenario.knee, service_ms: scenario.service_ms };
    let (mut now, mut stretches) = (0.0, vec![]);
    for stretch in std::iter::once(begin).chain(scenario.moves.iter().copied()) {
        let service = stretch.service_ms / 1e3;
        server.knee = stretch.knee;
        let capacity = stretch.knee / service;
        let ends = now + service * scenario.round_trips;
        let measured_from = ends - service * scenario.round_trips * MEASURED;
        let mut arrival = now + exponential(&mut rng) / (load * capacity);
        let (mut answers, mut limit_seconds) = (0_u64, 0.0);
        while now < ends {
            let end = server.next_end();
            let next = arrival.min(end).min(ends);
            if next > measured_from {
                limit_seconds += gate.limit() * (next - now.max(measured_from));
            }
            server.advance(next);
            gate.advance(Duration::from_secs_f64(next - now));
            now = next;
            if end <= now {
                let call = server.end();
                let round_trip = Duration::from_secs_f64(now - call.began);
                let is_late = round_trip.as_secs_f64() * 1e3 > scenario.deadline_ms;
                answers += u64::from(!is_late && now > measured_from);
                gate.leave(call.permit, is_late);
            } else if arrival <= now {
                if let Some(permit) = gate.enter() {
                    let work = service * scenario.jitter.draw(&mut rng);
                    server.begin(work, Call { permit, began: now });
                }
                arrival = now + exponential(&mut rng) / (load * capacity);
            }
        }
        let measured = ends - measured_from;
        let goodput = answers as f64 / measured / capacity;
        stretches.push(Stretch { knee: stretch.knee, limit: limit_seconds / measured, goodput });
    }
    stretches
}

/// A draw with the mean 1.
pub(crate) fn exponential(rng: &mut fastrand::Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

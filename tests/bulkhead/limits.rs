//! Adaptive limits through the public API: the published formulas to the letter, bounds for every input, settings
//! from a file.

use backstop::bulkhead::limit::{AdaptiveLimit, Aimd, Decrease, Gradient2, Limiter, Sample, Vegas};
use proptest::prelude::*;
use std::time::Duration;

/// The formulas once more, as plainly as can be.
struct Model {
    limit: f64,
    no_load: f64,
}

impl Model {
    fn aimd(&mut self, min: f64, max: f64, millis: f64, in_flight: f64, dropped: bool) {
        let limit = self.limit;
        let next = match (dropped || millis > 5_000.0, in_flight * 2.0 >= limit) {
            (true, _) => (limit * 0.9).floor(),
            (false, true) => limit + 1.0,
            (false, false) => limit,
        };
        self.limit = next.min(max).max(min);
    }

    fn vegas(
        &mut self,
        max: f64,
        thresholds: Option<(f64, f64)>,
        smoothing: f64,
        half: bool,
        sample: (f64, f64, bool),
    ) {
        let (millis, in_flight, dropped) = sample;
        if self.no_load == 0.0 || millis < self.no_load {
            self.no_load = millis;
            return;
        }
        let limit = self.limit;
        let few = limit.floor().log10().floor().max(1.0);
        let (alpha, beta) = thresholds.unwrap_or((3.0 * few, 6.0 * few));
        let less = if half { limit / 2.0 } else { limit - few };
        let queue = (limit * (1.0 - self.no_load / millis) - 1e-9).ceil();
        let next = if dropped {
            less
        } else if in_flight * 2.0 < limit || (queue > few && (alpha..=beta).contains(&queue)) {
            return;
        } else if queue <= few {
            limit + beta
        } else if queue < alpha {
            limit + few
        } else {
            less
        };
        self.limit = (1.0 - smoothing) * limit + smoothing * next.min(max).max(1.0);
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a limit")]
    fn shown(&self) -> u32 {
        (self.limit as u32).max(1)
    }
}

type Call = (u32, u32, bool);

fn sample((millis, in_flight, dropped): Call) -> Sample {
    let sample = Sample::new(Duration::from_millis(millis.into()), in_flight);
    if dropped { sample.dropped() } else { sample }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let millis = prop_oneof![0..3_u32, 5..40_u32, 5..40_u32, 4_990..5_010_u32];
    prop::collection::vec((millis, 0..250_u32, prop::bool::weighted(0.1)), 0..400)
}

proptest! {
    #[test]
    fn aimd_is_the_formula(initial in 20..=200_u32, calls in calls()) {
        let mut limiter = Limiter::new(Aimd::new().min(20).max(200), initial).unwrap();
        let mut model = Model { limit: initial.into(), no_load: 0.0 };
        for call in calls {
            model.aimd(20.0, 200.0, call.0.into(), call.1.into(), call.2);
            prop_assert_eq!(limiter.sample(sample(call)), model.shown());
        }
    }

    /// Between two probes, and for ever without.
    #[test]
    fn vegas_is_the_formula(
        initial in 1..=200_u32,
        thresholds in prop::option::of((1..10_u32, 0..10_u32)),
        smoothing in prop_oneof![Just(1.0), 0.01..1.0],
        half: bool,
        probes: bool,
        calls in calls(),
    ) {
        let mut vegas = Vegas::new().max(200).smoothing(smoothing);
        if let Some((alpha, more)) = thresholds {
            vegas = vegas.alpha(alpha).beta(alpha + more);
        }
        if half {
            vegas = vegas.decrease(Decrease::Half);
        }
        if !probes {
            vegas = vegas.probe_interval(0);
        }
        let mut limiter = Limiter::new(vegas, initial).unwrap();
        let mut model = Model { limit: initial.into(), no_load: 0.0 };
        let thresholds = thresholds.map(|(alpha, more)| (f64::from(alpha), f64::from(alpha + more)));
        for _ in 0..if probes { 1 } else { 3 } {
            for call in &calls {
                model.vegas(200.0, thresholds, smoothing, half, (call.0.into(), call.1.into(), call.2));
                prop_assert_eq!(limiter.sample(sample(*call)), model.shown());
            }
        }
    }

    #[test]
    fn every_limit_stays_within_its_bounds_whatever_it_sees(
        which in 0..3_u32,
        (min, max) in (1..50_u32, 0..1_000_u32).prop_map(|(min, more)| (min, min + more)),
        calls in prop::collection::vec((any::<u64>(), any::<u32>(), any::<bool>(), any::<bool>()), 0..2_000),
    ) {
        let settings: AdaptiveLimit = match which {
            0 => Aimd::new().min(min).max(max).into(),
            1 => Vegas::new().min(min).max(max).smoothing(0.3).decrease(Decrease::Half).into(),
            _ => Gradient2::new().min(min).max(max).into(),
        };
        let mut limiter = Limiter::new(settings, min).unwrap();
        for (nanos, in_flight, dropped, at_once) in calls {
            // Most draws of a u64 are centuries; shorter ones are what a limiter lives on.
            let round_trip = if dropped { Duration::MAX } else { Duration::from_nanos(nanos >> (nanos % 64)) };
            let sample = Sample::new(round_trip, in_flight >> (in_flight % 32));
            let sample = if dropped { sample.dropped() } else { sample };
            let limit = if at_once { limiter.sample(sample) } else { limiter.observe(sample) };
            prop_assert!((min..=max).contains(&limit), "{limit} is not within {min} and {max}");
        }
    }
}

#[test]
fn a_limit_set_by_hand_keeps_to_the_bounds_and_is_where_the_algorithm_goes_on() {
    let mut limiter = Limiter::new(Aimd::new().min(5).max(50), 20).unwrap();
    for (set, limit) in [(0, 5), (u32::MAX, 50), (30, 30)] {
        limiter.set_limit(set);
        assert_eq!(limiter.limit(), limit);
    }
    assert_eq!(limiter.sample(Sample::new(Duration::from_millis(1), 30)), 31);
    assert_eq!(*limiter.settings(), AdaptiveLimit::from(Aimd::new().min(5).max(50)));
}

/// A server of 20 ms with a knee of 40, always full.
fn serve(limiter: &mut Limiter, calls: u32, service: f64) -> Vec<u32> {
    let serve = |_| {
        let in_flight = limiter.limit();
        let round_trip = Duration::from_secs_f64(service * (f64::from(in_flight) / 40.0).max(1.0));
        limiter.observe(Sample::new(round_trip, in_flight))
    };
    (0..calls).map(serve).collect()
}

#[test]
fn a_probe_halves_the_limit_for_a_while_and_gives_it_back() {
    for settings in [AdaptiveLimit::from(Vegas::new()), Gradient2::new().into()] {
        let mut limiter = Limiter::new(settings, 40).unwrap();
        serve(&mut limiter, 20_000, 0.02);
        let limits = serve(&mut limiter, 20_000, 0.02);
        let probes = limits.windows(2).filter(|pair| pair[1] <= pair[0] / 2).count();
        assert!((3..=6).contains(&probes), "about one in 100 round trips: {probes}");
        let halved = limits.iter().filter(|limit| **limit < 30).count();
        assert!(halved < 800, "{halved} of 20,000 calls ended under half of the limit");
        assert!(limits.iter().all(|limit| (19..=48).contains(limit)), "{limits:?}");
    }
}

#[test]
fn a_server_that_became_slower_at_every_load_gets_its_limit_back() {
    for settings in [AdaptiveLimit::from(Vegas::new()), Gradient2::new().into()] {
        let mut limiter = Limiter::new(settings, 40).unwrap();
        serve(&mut limiter, 20_000, 0.02);
        let slower = serve(&mut limiter, 40_000, 0.06);
        assert!(*slower.iter().min().unwrap() < 20, "it looks like a queue at first");
        assert!((40..=48).contains(slower.last().unwrap()), "{:?}", slower.last());
    }
}

#[test]
fn a_limit_to_begin_with_outside_the_bounds_is_refused() {
    let error = Limiter::new(Vegas::new().min(5).max(50), 51).unwrap_err();
    assert_eq!(error.to_string(), "invalid configuration: initial: 51 is not allowed, must be from 5 to 50");
    assert_eq!(Limiter::new(Vegas::new().smoothing(f64::NAN), 0).unwrap_err().problems().len(), 2);
}

#[test]
fn every_setting_of_a_file_does_what_its_setter_does() {
    let read = |text: &str| toml::from_str::<AdaptiveLimit>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let aimd = Aimd::new().min(2).max(90).backoff_ratio(0.8).timeout(Duration::from_millis(300)).window(7);
    let text = "algorithm = 'aimd'\nmin = 2\nmax = 90\nbackoff_ratio = 0.8\ntimeout = '300ms'\nwindow = 7";
    assert_eq!(read(text), aimd.into());
    let vegas = Vegas::new().min(2).max(90).alpha(4).beta(5).decrease(Decrease::Half).smoothing(0.5).window(7);
    let text = "algorithm = 'vegas'\nmin = 2\nmax = 90\nalpha = 4\nbeta = 5\ndecrease = 'half'\nsmoothing = 0.5\n\
        window = 7\nprobe_interval = 9";
    assert_eq!(read(text), vegas.probe_interval(9).into());
    let gradient = Gradient2::new().min(2).max(90).tolerance(1.5).queue_size(3).smoothing(0.5).long_window(60);
    let text = "algorithm = 'gradient2'\nmin = 2\nmax = 90\ntolerance = 1.5\nqueue_size = 3\nsmoothing = 0.5\n\
        long_window = 60\nwindow = 7\nprobe_interval = 9";
    assert_eq!(read(text), gradient.window(7).probe_interval(9).into());
    assert_eq!(read("algorithm = 'vegas'"), Vegas::new().into());
}

#[test]
fn a_file_with_an_unknown_word_is_refused() {
    for text in ["algorithm = 'bbr'", "max = 9", "algorithm = 'aimd'\nalpha = 3", "algorithm = 'vegas'\nmaximum = 3"] {
        assert!(toml::from_str::<AdaptiveLimit>(text).is_err(), "{text}");
    }
}

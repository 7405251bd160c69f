//! Values and states over time, in bounded memory.

/// Most points of a line; beyond, two neighbours become one.
const POINTS_MAX: usize = 4000;

/// States with the time at which each began.
pub struct Lane<S>(pub Vec<(f64, S)>);

impl<S> Default for Lane<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: PartialEq> Lane<S> {
    /// Adds a state; returns whether it is another one than before.
    pub fn add(&mut self, at: f64, state: S) -> bool {
        let is_new = self.0.last().is_none_or(|(_, last)| *last != state);
        if is_new {
            self.0.push((at, state));
        }
        is_new
    }
}

/// Values over time; long ones keep the least and the largest of neighbours, so that no peak is lost.
#[derive(Default)]
pub struct Series(Vec<Point>);

#[derive(Clone, Copy)]
pub struct Point {
    pub at: f64,
    pub low: f64,
    pub high: f64,
}

impl Series {
    /// Adds a value; one that is not there breaks the line.
    pub fn add(&mut self, at: f64, value: Option<f64>) {
        let value = value.unwrap_or(f64::NAN);
        self.0.push(Point { at, low: value, high: value });
        if self.0.len() > POINTS_MAX {
            let merged = self.0.chunks(2).map(|pair| {
                let last = pair[pair.len() - 1];
                Point { at: pair[0].at, low: pair[0].low.min(last.low), high: pair[0].high.max(last.high) }
            });
            self.0 = merged.collect();
        }
    }

    pub fn points(&self) -> &[Point] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|point| point.low.is_nan())
    }

    pub fn most(&self) -> f64 {
        self.0.iter().map(|point| point.high).fold(0.0, f64::max)
    }

    pub fn least(&self) -> f64 {
        self.0.iter().map(|point| point.low).fold(0.0, f64::min)
    }
}

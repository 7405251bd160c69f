//! Charts and lanes as SVG in a page without scripts: for the report of a rollout and that of `backstop judge`.

mod chart;
mod escape;
mod parts;
mod series;

pub use chart::{Axis, Line, Unit, chart, lane, time};
pub use escape::escape;
pub use parts::{count, evidence, row, sentence, versions};
pub use series::{Lane, Point, Series};

/// Style of a page.
pub const STYLE: &str = include_str!("page.css");
/// Head of a page, up to its title: nothing is loaded, and no script is run.
pub const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
     <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
     <meta name=\"color-scheme\" content=\"light dark\">\
     <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\
     <link rel=\"icon\" href=\"data:,\">";

//! Tests of the controllers' files, against the controllers' schemas and rules.

mod answers;
mod argo;
mod files;
mod flagger;
mod live;
mod real;
mod rules;
mod schemas;

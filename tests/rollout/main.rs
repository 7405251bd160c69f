//! Sources, the judging process, controllers' requests, and rollouts over real load balancers.

mod actuators;
mod alerts;
mod alone;
mod combined;
mod commands;
mod controller;
mod haproxy;
mod http;
mod kit;
mod model;
mod nginx;
mod plans;
mod played;
mod player;
mod processes;
#[path = "../support/ran.rs"]
mod ran;
mod report;
mod requests;
mod scene;
mod serve;
mod servers;
mod sources;
mod staged;
mod stages;
mod succession;
mod texts;
mod waits;

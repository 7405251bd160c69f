//! Sources, the judging process, controllers' requests, and rollouts over real load balancers.

mod actuators;
mod controller;
mod kit;
mod model;
mod plans;
mod player;
mod scene;
mod serve;
mod servers;
mod sources;
mod staged;
mod stages;

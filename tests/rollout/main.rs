//! Sources, the judging process, controllers' requests, and rollouts over real load balancers.

mod actuators;
mod model;
mod plans;
mod player;
mod servers;
mod staged;
mod stages;

//! Sources, the judging process, controllers' requests, and rollouts over real load balancers.

mod staged;

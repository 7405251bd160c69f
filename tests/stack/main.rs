//! Mechanisms in front of real servers and clients, together and by protocol.

#[path = "../support/bodies.rs"]
mod bodies;
#[path = "../support/common.rs"]
mod common;

mod abandoned;
mod blame;
mod clients;
mod config;
mod grpc;
mod grpc_rejections;
mod http;
mod load_balancer;
mod protect;
mod protect_bulkhead;
mod protect_calls;
mod protect_keyed;
mod rejections;
mod streams;
mod uploads;

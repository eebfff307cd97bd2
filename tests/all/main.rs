//! The tests of a file in src are in the module of the same name; `optimizer` tests what holds for every optimizer.

#[path = "../common/mod.rs"]
mod common;

mod accumulator;
mod adam;
mod average;
mod batcher;
mod blocks;
mod by_name;
mod chacha;
mod clip;
mod draws;
mod elementwise;
mod error;
mod exhaustive;
mod finite;
mod gather;
mod grads;
mod groups;
mod guard;
mod half;
mod loss_scale;
mod mixture;
mod momentum;
mod noise;
mod norm;
mod optimizer;
mod permutation;
mod plateau;
mod restore;
mod rows;
mod saved;
mod schedule;
mod sgd;
mod shard;
mod shuffle;
mod split;
mod step;
mod stream;
mod subset;
mod weight_decay;
mod weighted;

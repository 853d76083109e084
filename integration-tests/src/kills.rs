//! Killing the daemon again and again: the load, the choice of the moment, and the judge of what is left.

pub mod judge;
pub mod load;
pub mod points;

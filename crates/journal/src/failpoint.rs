//! Named places at which a test makes the process die or an operation fail (feature `failpoints`).

use std::io;

/// Every name, for tests that must reach them all.
pub const ALL: &[&str] = &[
    "journal::replace::write::before",
    "journal::replace::sync::before",
    "journal::replace::rename::before",
    "journal::replace::rename::after",
    "journal::replace::dir_sync::after",
    "journal::allocate::before",
    "journal::ballast::refill::before",
    "journal::ballast::refill::after",
    "journal::ballast::release::before",
    "journal::ballast::release::after",
    "journal::write::before",
    "journal::write::after",
    "journal::sync::before",
    "journal::sync::after",
    "journal::seal::write::before",
    "journal::seal::sync::before",
    "journal::seal::truncate::before",
    "journal::seal::after",
    "journal::begin::write::before",
    "journal::begin::after",
    "journal::publish::sync::before",
    "journal::publish::rename::before",
    "journal::publish::rename::after",
    "journal::publish::dir_sync::after",
    "journal::publish::after",
    "journal::expire::unlink::before",
    "journal::expire::unlink::after",
    "journal::expire::dir_sync::after",
    "journal::recover::copy::before",
    "journal::recover::write::before",
    "journal::recover::sync::before",
    "journal::recover::rename::before",
    "journal::recover::rename::after",
    "journal::recover::dir_sync::after",
];

/// The place `name` was reached. With the feature off it is nothing.
#[inline]
pub(crate) fn at(name: &str) -> io::Result<()> {
    fail::fail_point!(name, |_| Err(io::Error::other(format!("fail point {name}"))));
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
    Ok(())
}

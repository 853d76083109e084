//! What the tests of the whole product share: starting the binary, and judging what came out.

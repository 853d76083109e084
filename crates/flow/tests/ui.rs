//! What must not compile: proofs made by hand, a second verdict, a verdict that is ignored.

#[test]
fn misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

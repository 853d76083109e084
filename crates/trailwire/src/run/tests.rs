use std::io;

use flow::PartitionId;

use super::*;

#[test]
fn only_damage_is_called_damage() {
    let partition = PartitionId(0);
    let fault = |kind: io::ErrorKind| OwnerFault::Io { partition, doing: "a step", error: kind.into() };
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other, io::ErrorKind::NotFound] {
        assert_eq!(exit_of(&fault(kind)), Exit::Failure, "{kind}");
    }
    assert_eq!(exit_of(&fault(io::ErrorKind::InvalidData)), Exit::Damaged);
    assert_eq!(exit_of(&OwnerFault::Panicked { thread: 0, what: String::new() }), Exit::Failure);
}

#[tokio::test]
async fn an_engine_that_panics_is_noticed() {
    let mut engine: JoinHandle<()> = tokio::spawn(async { panic!("a bug") });
    let error = end_of(&mut engine).await;
    assert!(format!("{error:#}").contains("nothing is delivered any more"), "{error:#}");
    assert!(format!("{error:#}").contains("panicked"), "{error:#}");
    let mut engine = tokio::spawn(async {});
    assert!(end_of(&mut engine).await.to_string().contains("this is a bug"));
}

#[test]
fn a_folder_is_made_with_those_above_it_and_may_be_there() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("a/b/c");
    make_folder(&folder).unwrap();
    make_folder(&folder).unwrap();
    assert!(folder.is_dir());
    std::fs::write(scratch.path().join("file"), "").unwrap();
    assert!(make_folder(&scratch.path().join("file/below")).is_err());
}

use super::*;

#[test]
fn sockets_are_served_by_as_many_threads_as_are_configured() {
    let workers = |threads| runtime(threads).unwrap().metrics().num_workers();
    assert_eq!((workers(Some(1)), workers(Some(3))), (1, 3));
    assert_eq!(workers(None), std::thread::available_parallelism().unwrap().get());
}

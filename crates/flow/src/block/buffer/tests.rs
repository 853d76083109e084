use super::*;

fn is_paged(buffer: &Buffer) -> bool {
    buffer.as_ptr().addr().is_multiple_of(PAGE)
}

fn filled(mut buffer: Buffer, len: usize) -> Buffer {
    buffer.begin(len);
    buffer.extend(&vec![7; len]);
    buffer
}

#[test]
fn a_block_of_the_room_that_was_asked_for_begins_at_a_page() {
    let shelf = Shelf::new(1 << 20);
    for len in [LARGE, LARGE + 1, 40_000, 300_000] {
        let mut buffer = filled(shelf.take(len), len);
        buffer.resize(len + PAGE - 8);
        assert!(is_paged(&buffer) && buffer.len() == len + PAGE - 8);
        assert_eq!((buffer[len - 1], buffer[len]), (7, 0));
    }
    assert!(is_paged(&filled(Buffer::paged(), 100)));
    // Small ones and plain vectors take no more than they need.
    assert!(filled(shelf.take(100), 100).capacity() < PAGE);
    assert!(filled(Buffer::from(Vec::new()), LARGE).capacity() < LARGE + PAGE);
}

#[test]
fn memory_comes_back_with_the_last_reader() {
    let shelf = Shelf::new(1 << 20);
    let bytes = Bytes::from(filled(shelf.take(50_000), 50_000));
    let part = bytes.slice(10..20);
    let address = bytes.as_ptr();
    drop(bytes);
    assert_eq!(shelf.bytes(), 0, "somebody still reads");
    drop(part);
    assert!(shelf.bytes() >= 50_000);
    // A block of about that size gets it, without what it held; one of another size does not.
    let other = filled(shelf.take(20_000), 20_000);
    let again = filled(shelf.take(49_000), 10);
    assert_eq!((again.as_ptr(), &again[..]), (address, &[7; 10][..]));
    assert_eq!(shelf.bytes(), 0);
    drop((other, again));
}

#[test]
fn a_shelf_keeps_no_more_than_it_may() {
    let shelf = Shelf::new(200_000);
    let buffers: Vec<Buffer> = (0..10).map(|_| filled(shelf.take(50_000), 50_000)).collect();
    drop(buffers);
    assert!((100_000..=200_000).contains(&shelf.bytes()), "{}", shelf.bytes());
    drop(filled(shelf.take(1 << 20), 1 << 20));
    assert!(shelf.bytes() <= 200_000);
}

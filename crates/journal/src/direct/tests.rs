use super::*;

#[test]
fn large_blocks_and_small_ones_behind_them_end_at_a_page() {
    let direct = Direct::new(10_000);
    let cases = [
        // length, offset, behind a large one, padding
        (10_000, 4096, false, 2288),
        (12_288, 4096, false, 0),
        (10_000, 4104, false, 2280),
        (96, 8192, true, 4000),
        (96, 8192, false, 0),
        // A large block before it that does not end at a page: the file system took no direct writes then.
        (96, 8200, true, 0),
        (9_992, 8192, false, 0),
    ];
    for (len, offset, behind, padding) in cases {
        assert_eq!(direct.padding(len, offset, behind), padding, "{len} bytes at {offset}");
        assert!(padding % flow::block::ALIGN == 0 && padding < PAGE);
    }
}

#[test]
fn only_whole_pages_go_past_the_cache() {
    let direct = Direct::new(8192);
    let memory = vec![0; 5 * PAGE];
    let start = memory.as_ptr().align_offset(PAGE);
    let at = |from: usize, len: usize| memory.get(start + from..start + from + len).unwrap_or_default();
    assert!(direct.suits(at(0, 8192), 4096));
    assert!(!direct.suits(at(0, 8192), 4104), "offset in the file");
    assert!(!direct.suits(at(8, 8192), 4096), "memory");
    assert!(!direct.suits(at(0, 8200), 4096), "length");
    assert!(!direct.suits(at(0, 4096), 4096), "too small to pay");
}

#[test]
fn a_refusal_is_for_good_and_other_errors_are_none() {
    let direct = Direct::new(8192);
    assert!(!direct.is_refusal(&io::ErrorKind::StorageFull.into()));
    assert!(direct.open(&crate::vfs::SimVfs::default(), Path::new("/none")).is_err());
    assert!(direct.is_refusal(&io::ErrorKind::InvalidInput.into()));
    assert!(direct.open(&crate::vfs::SimVfs::default(), Path::new("/none")).is_ok_and(|file| file.is_none()));
}

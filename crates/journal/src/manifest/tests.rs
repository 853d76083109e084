use super::*;
use crate::vfs::SimVfs;

#[test]
fn it_reads_back_and_every_flipped_bit_is_noticed_or_harmless() {
    let vfs = SimVfs::default();
    let dir = Path::new("/j");
    vfs.create_dir(dir).unwrap();
    assert_eq!(Manifest::read(&vfs, dir).unwrap(), None);
    let manifest = Manifest { log: LogId(*b"0123456789abcdef"), partitions: 8 };
    manifest.write(&vfs, dir).unwrap();
    assert_eq!(Manifest::read(&vfs, dir).unwrap(), Some(manifest));
    let len = vfs.open(&dir.join(NAME), Access::Read).unwrap().len().unwrap();
    for at in 0..len {
        for bit in 0..8 {
            let copy = vfs.fork();
            copy.damage(&dir.join(NAME), at, 1 << bit);
            if let Ok(read) = Manifest::read(&copy, dir) {
                assert_eq!(read, Some(manifest), "byte {at}");
            }
        }
    }
}

#[test]
fn a_newer_format_is_refused_whatever_else_it_holds() {
    let fault = Manifest::parse(b"{\"format\":2,\"regions\":[]}").unwrap_err();
    assert_eq!(
        fault.to_string(),
        "manifest.json: journal format 2 is newer than this program reads (1): upgrade Trailwire"
    );
}

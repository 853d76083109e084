use super::*;

fn of(text: &str) -> Result<Destination, BadDestination> {
    Destination::of(&text.parse::<Uri>().unwrap())
}

#[test]
fn usual_urls_are_taken_apart() {
    let cases = [
        ("https://Http-Inputs-Acme.example.com", "http-inputs-acme.example.com", 443, true),
        ("https://a.example.:8088/services", "a.example:8088", 8088, true),
        ("http://127.0.0.1:8088/x?y=z", "127.0.0.1:8088", 8088, false),
        ("http://[::1]/", "[::1]", 80, false),
        ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443", 8443, true),
        ("http://splunk/", "splunk", 80, false),
    ];
    for (text, header, port, tls) in cases {
        let found = of(text).unwrap();
        assert_eq!((found.host_header().as_str(), found.port, found.tls), (header, port, tls), "{text}");
    }
}

#[test]
fn other_spellings_of_addresses_are_not_names() {
    for text in [
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://1.2.3.4.5/",
        "http://0x7f000001/",
        "http://a..b/",
        "http://127.0.0.1./",
    ] {
        assert_eq!(of(text), Err(BadDestination::Host), "{text}");
    }
}

#[test]
fn what_is_refused_outright() {
    assert_eq!(of("ftp://a.example/"), Err(BadDestination::Scheme));
    assert_eq!(of("/services"), Err(BadDestination::Scheme));
    assert_eq!(of("https://user:pass@a.example/"), Err(BadDestination::UserInfo));
    assert_eq!(of("https://a.example:0/"), Err(BadDestination::Port));
    assert_eq!(of("https://metadata.google.internal/"), Err(BadDestination::Metadata));
    assert_eq!(of("https://METADATA.google.internal./"), Err(BadDestination::Metadata));
    // A port out of range or a zone id does not even parse as a URL, or is refused here.
    for text in ["https://a.example:99999/", "https://[fe80::1%eth0]/", "https://a.example:/"] {
        assert!(text.parse::<Uri>().is_err() || of(text).is_err(), "{text}");
    }
}

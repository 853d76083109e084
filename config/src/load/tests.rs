use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use rustls_pki_types::CertificateDer;

use super::*;
use crate::selection::Selection;
use crate::sink::StartFrom;
use crate::sink::tests::{Pipe, pipe};
use crate::{ByteRate, ByteSize, EventRate, LogFormat, UnknownOrg};

struct Folder {
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

impl Folder {
    fn new(operator: &str) -> Self {
        let folder = Self { dir: tempfile::tempdir().unwrap(), env: BTreeMap::new() };
        folder.with("trailwire.yaml", operator)
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self) -> Result<Loaded<Pipe>, Problems> {
        load(&self.dir.path().join("trailwire.yaml"), &self.env, &[pipe()])
    }

    /// Problems without the folder's random name.
    fn shown(&self, problems: &Problems) -> String {
        problems.to_string().replace(&format!("{}/", self.dir.path().display()), "")
    }

    fn refused(&self) -> String {
        match self.load() {
            Ok(loaded) => panic!("it was accepted: {:?}", loaded.operator),
            Err(problems) => self.shown(&problems),
        }
    }
}

#[test]
fn a_file_with_only_a_version_gets_the_defaults() {
    let folder = Folder::new("version: 1\n");
    let loaded = folder.load().unwrap();
    assert!(loaded.problems().is_empty(), "{}", loaded.problems());
    let operator = loaded.operator;
    assert_eq!(operator.listen.ingest, SocketAddr::from(([127, 0, 0, 1], 8080)));
    assert_eq!(operator.data_dir, folder.dir.path().join("data"));
    assert_eq!(operator.buffer.max_age, Duration::from_secs(7 * 86_400));
    assert_eq!(operator.buffer.max_bytes, 50 << 30);
    assert_eq!((operator.journal.partitions, operator.threads), (8, None));
    assert_eq!(operator.memory.tail, 96 << 20);
    assert_eq!(operator.dedupe_window, 1 << 21);
    assert_eq!((operator.log.format, operator.log.level.as_str()), (LogFormat::Pretty, "info"));
    assert_eq!(operator.unknown_org, UnknownOrg::Accept);
    assert!(operator.ingest_per_org.events.is_none() && operator.producers.is_empty());
    assert!(operator.master_secret.is_none() && operator.otlp_endpoint.is_none() && !operator.development);
    assert!(loaded.orgs.is_empty() && loaded.sinks.is_empty());
}

#[test]
fn every_key_can_be_written_and_variables_win() {
    let folder = Folder::new(
        "version: 1\ndata_dir: d\nlisten: {ingest: '0.0.0.0:1', admin: '[::]:2'}\nadmin: {token: '${file:admin}'}\n\
         producers:\n  gw: {token: '${env:GW}', orgs: [a, b], kinds: [api_call], apps: [x]}\n\
         \x20 other: {token_sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, orgs: \"*\", kinds: \"*\"}\n\
         buffer: {max_age: 1h, max_bytes: 1GiB}\napps: {files: [apps.yaml]}\nunknown_org: refuse\n\
         egress: {allow: [{cidr: 127.0.0.0/8, plaintext: true}, {cidr: 10.1.2.3, sinks: shared}, {cidr: 'fd00::/8'}], ca_files: [ca.pem]}\n\
         limits: {ingest_per_org: {events: 1000/s, bytes: 1MB/s}}\ndedupe: {window: 5}\nthreads: 3\n\
         log: {format: json, level: 'info,journal=debug'}\ntelemetry: {otlp_endpoint: 'http://127.0.0.1:4318'}\n\
         delivery_starts_per_core: 10\njournal: {partitions: 2}\nmaster_secret: ${file:master}\n",
    )
    .with("apps.yaml", "version: 1\napps: [{key: com.example.sync, kind: connect}]\n")
    .with("admin", "admin-token-of-enough-length\n")
    .with("master", "m")
    .with("ca.pem", &format!("Two of them.\n{}{}", pem(&ca()), pem(&ca())))
    .var("GW", "gateway-token-of-enough-length")
    .var("TRAILWIRE__BUFFER__MAX_AGE", "2h")
    .var("TRAILWIRE__MEMORY__TAIL", "128MiB")
    .var("TRAILWIRE__JOURNAL", "{partitions: 4}");
    let loaded = folder.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(folder.shown(&loaded.problems()), "");
    let operator = loaded.operator;
    assert_eq!(operator.buffer.max_age, Duration::from_secs(7_200));
    assert_eq!((operator.memory.tail, operator.journal.partitions), (128 << 20, 4));
    assert_eq!(operator.producers.len(), 2);
    assert_eq!(
        operator.producers[0].tokens[0].as_bytes(),
        crate::TokenHash::of("gateway-token-of-enough-length").as_bytes()
    );
    assert_eq!(operator.producers[1].tokens[0].as_bytes(), crate::TokenHash::of("abc").as_bytes());
    assert!(operator.producers[0].kinds.contains(&event::Kind::ApiCall));
    assert!(!operator.producers[0].kinds.contains(&event::Kind::Lifecycle));
    assert!(operator.producers[1].orgs == Selection::All && operator.producers[1].apps == Selection::All);
    assert_eq!(operator.egress_allow.len(), 3);
    assert_eq!(operator.egress_roots, [ca(), ca()]);
    assert_eq!(operator.egress_allow[1].cidr.to_string(), "10.1.2.3/32");
    assert_eq!(
        operator.egress_allow.iter().map(|net| net.shared_only).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(operator.ingest_per_org.events, Some(EventRate { events: 1000, per: Duration::from_secs(1) }));
    assert_eq!(
        operator.ingest_per_org.bytes,
        Some(ByteRate { bytes: ByteSize(1_000_000), per: Duration::from_secs(1) })
    );
    assert_eq!(operator.threads, Some(3));
    assert_eq!(operator.app_files, [folder.dir.path().join("apps.yaml")]);
    assert_eq!(operator.master_secret.unwrap().read().unwrap().expose(), "m");
}

#[test]
fn a_bad_operator_file_is_refused_with_all_its_problems() {
    let folder = Folder::new(
        "version: 1\ndata_dri: d\nlisten: {ingest: localhost:1, admin: 0.0.0.0:8081}\n\
         producers:\n  a: {orgs: \"*\", kinds: [calls]}\n  b c: {token: x, orgs: \"*\", kinds: \"*\"}\n\
         \x20 d: {token: '${env:UNSET}', token_sha256: ab, orgs: all}\n  e: {token: plain, orgs: [], kinds: \"*\"}\n\
         sources: {kafka: {brokers: x}}\nbuffer: {max_age: 1s, max_bytes: 1000}\nunknown_org: acept\n\
         egress: {allow: [{cidr: ten}, {plaintext: true}]}\ndedupe: {window: -1}\nthreads: 0\nlog: {level: verbose}\n\
         telemetry: {otlp_endpoint: 'http://u:p@x'}\nmemory: {tail: 1MiB, heap: 2MiB}\njournal: {partitions: 0}\n\
         orgs: {acme: {env_prefix: acme}, a: {env_prefix: A_}, b: {env_prefix: A_B_}, 'x y': {env_prefix: X_}, t: {env_prefix: TRAILWIRE_}, u: {}}\n",
    )
    .var("TRAILWIRE__BUFER__MAX_AGE", "1d");
    insta::assert_snapshot!(folder.refused());
}

#[test]
fn a_producer_may_have_a_second_token_while_one_is_replaced() {
    let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let load = |keys: &str| {
        Folder::new(&format!("version: 1\nproducers:\n  a: {{{keys}, orgs: \"*\", kinds: \"*\"}}\n  b: {{token: '${{env:B}}', orgs: \"*\", kinds: \"*\"}}\n"))
            .var("T", "the-old-token-that-is-long")
            .var("N", "the-new-token-that-is-long")
            .var("B", "the-token-of-another-one")
    };
    let tokens = |keys: &str| {
        let producers = load(keys).load().unwrap_or_else(|problems| panic!("{problems}")).operator.producers;
        producers[0].tokens.iter().map(|token| *token.as_bytes()).collect::<Vec<_>>()
    };
    let of = |token: &str| *crate::TokenHash::of(token).as_bytes();
    let (old, new) = (of("the-old-token-that-is-long"), of("the-new-token-that-is-long"));
    assert_eq!(tokens("token: '${env:T}', token_next: '${env:N}'"), [old, new]);
    assert_eq!(tokens(&format!("token: '${{env:T}}', token_next_sha256: {hex}")), [old, of("abc")]);
    assert_eq!(tokens("token: '${env:T}', token_next: '${env:T}'"), [old], "the end of a change");
    let refused = |keys: &str, what: &str| {
        let told = load(keys).refused();
        assert!(told.contains(what), "{told}");
    };
    refused("token_next: '${env:N}'", "producers.a.token: this key is missing");
    refused("token: '${env:T}', token_next: '${env:B}'", "has the same token as the producer a");
    refused("token: '${env:T}', token_next: '${env:UNSET}'", "the variable UNSET is not set");
    refused(
        &format!("token: '${{env:T}}', token_next: '${{env:N}}', token_next_sha256: {hex}"),
        "only one of token_next and token_next_sha256 can be written",
    );
}

#[test]
fn a_list_of_no_apps_is_refused_as_other_empty_lists_are() {
    let folder =
        Folder::new("version: 1\nproducers: {a: {token: '${env:T}', orgs: \"*\", kinds: \"*\", apps: []}}\n")
            .var("T", "a-token-that-is-long-enough");
    assert!(folder.refused().contains("producers.a.apps: the list is empty"), "{}", folder.refused());
}

#[test]
fn files_of_apps_must_be_there_and_hold_a_list_of_apps() {
    let folder = Folder::new(
        "version: 1\napps:\n  files:\n  - good.yaml\n  - mispelt.yaml\n  - map.yaml\n  - words.yaml\n  - cut.yaml\n  - empty.yaml\n  - old.yaml\n",
    )
    .with("good.yaml", "version: 1\napps:\n- key: com.example.sync\n  id: x\n")
    .with("map.yaml", "version: 1\napps: {a: b}\n")
    .with("words.yaml", "version: 1\napps: [a, b]\n")
    .with("cut.yaml", "version: 1\napps: [{\n")
    .with("empty.yaml", "")
    .with("old.yaml", "apps: []\n");
    insta::assert_snapshot!(folder.refused());
}

fn org_file(id: &str) -> String {
    format!("version: 1\nid: {id}\nname: X\nlimits: {{ingest: {{events: 5/s}}}}\n")
}

const ONE_SINK: &str = "version: 1\nsinks: {own: {type: pipe, to: x, token: '${file:t}'}}\n";

fn acme_in_force(operator: &str) -> (Folder, Loaded<Pipe>) {
    let folder = Folder::new(operator)
        .with("orgs.d/acme/org.yaml", &org_file("acme-id"))
        .with("orgs.d/acme/sinks.yaml", ONE_SINK)
        .with("orgs.d/acme/secrets/t", "token");
    let loaded = folder.load().unwrap_or_else(|problems| panic!("{problems}"));
    (folder, loaded)
}

fn again(folder: &Folder, before: &Loaded<Pipe>) -> Loaded<Pipe> {
    let path = folder.dir.path().join("trailwire.yaml");
    load_again(&path, &folder.env, &[pipe()], before).unwrap_or_else(|problems| panic!("{problems}")).0
}

/// The organisations in force with the events that each may send, and the sinks.
#[allow(clippy::type_complexity, reason = "a test looks at it once")]
fn in_force(loaded: &Loaded<Pipe>) -> (Vec<(String, u64)>, Vec<(String, String)>) {
    let orgs = loaded.orgs.iter().map(|org| (org.folder.clone(), org.ingest.events.map_or(0, |e| e.events)));
    let sinks = loaded.sinks.iter().map(|sink| (sink.name.clone(), sink.settings.to.clone()));
    (orgs.collect(), sinks.collect())
}

#[test]
fn what_was_good_stays_in_force_however_often_the_broken_files_are_read() {
    let (folder, first) = acme_in_force("version: 1\n");
    let good = in_force(&first);
    assert_eq!(good.0, [("acme".to_owned(), 5)]);
    for broken in ["version: 1\nid: [acme-id\n", "version: 1\nid: acme-id\n", "version: 2\n", ""] {
        let folder = Folder { dir: tempfile::tempdir().unwrap(), env: folder.env.clone() }
            .with("trailwire.yaml", "version: 1\n")
            .with("orgs.d/acme/org.yaml", broken)
            .with("orgs.d/acme/sinks.yaml", ONE_SINK)
            .with("orgs.d/acme/secrets/t", "token");
        let second = again(&folder, &first);
        assert_eq!(in_force(&second), good, "{broken}");
        assert!(second.problems().has_errors());
        let third = again(&folder, &second);
        assert_eq!(in_force(&third), good, "{broken}");
        let folder = folder
            .with("orgs.d/acme/org.yaml", &org_file("acme-id"))
            .with("orgs.d/acme/sinks.yaml", "version: 1\n");
        let fourth = again(&folder, &third);
        assert!(fourth.sinks.is_empty(), "what is removed in a good file is removed");
        assert!(fourth.problems().is_empty());
    }
    std::fs::remove_dir_all(folder.dir.path().join("orgs.d/acme")).unwrap();
    let gone = again(&folder, &first);
    assert!(gone.orgs.is_empty() && gone.sinks.is_empty(), "a folder that is removed is no broken one");
}

#[test]
fn a_second_folder_does_not_stop_the_one_that_is_in_force() {
    let (folder, first) = acme_in_force("version: 1\n");
    let folder = folder
        .with("orgs.d/evil/org.yaml", &org_file("acme-id"))
        .with("orgs.d/evil/sinks.yaml", &ONE_SINK.replace("own", "theirs").replace("to: x", "to: evil"))
        .with("orgs.d/evil/secrets/t", "token");
    let second = again(&folder, &first);
    assert_eq!(in_force(&second), in_force(&first));
    // Its own changes count meanwhile.
    let folder = folder.with("orgs.d/acme/sinks.yaml", &ONE_SINK.replace("to: x", "to: y"));
    let third = again(&folder, &second);
    assert_eq!(in_force(&third).1, [("own".to_owned(), "y".to_owned())]);
    assert!(third.problems().has_errors());
    // Also when it cannot be read: the other one does not step into its place.
    let folder = folder.with("orgs.d/acme/org.yaml", "version: 1\nid: [\n");
    let fourth = again(&folder, &third);
    assert_eq!(in_force(&fourth), in_force(&third));
    // At the start nobody knows.
    let folder = folder.with("orgs.d/acme/org.yaml", &org_file("acme-id"));
    let start = folder.load().unwrap();
    assert_eq!((start.orgs.len(), start.sinks.len(), start.broken.len()), (0, 0, 2));
    // Not even when the first one is faulty, but says whose it is.
    let folder = folder.with("orgs.d/acme/org.yaml", "version: 1\nid: acme-id\n");
    assert!(folder.load().unwrap().orgs.is_empty());
}

#[test]
fn the_operator_says_whose_folder_it_is() {
    let (folder, first) =
        acme_in_force("version: 1\norgs: {acme-id: {folder: acme}, evil-id: {folder: evil}}\n");
    let folder = folder
        .with("orgs.d/evil/org.yaml", &org_file("acme-id"))
        .with("orgs.d/evil/sinks.yaml", ONE_SINK)
        .with("orgs.d/evil/secrets/t", "token");
    let start = folder.load().unwrap();
    assert_eq!(in_force(&start), in_force(&first));
    let told = folder.shown(&start.problems());
    assert!(told.contains("id: the operator has given this organisation to the folder acme"), "{told}");
    let folder = folder.with("orgs.d/evil/org.yaml", &org_file("nobodys-id"));
    let told = folder.shown(&folder.load().unwrap().problems());
    assert!(told.contains("id: the operator has given this folder to the organisation evil-id"), "{told}");
    let folder = folder.with("orgs.d/evil/org.yaml", &org_file("evil-id"));
    assert_eq!(folder.load().unwrap().orgs.len(), 2);
    // Also while its own folder is broken.
    let folder = folder
        .with("orgs.d/acme/org.yaml", "version: 1\nid: [\n")
        .with("orgs.d/evil/org.yaml", &org_file("acme-id"));
    assert!(folder.load().unwrap().orgs.is_empty());
    let wrong =
        Folder::new("version: 1\norgs: {a: {folder: x}, b: {folder: x}, c: {folder: ../y}}\n").refused();
    assert!(wrong.contains("orgs.b.folder: the folder is that of a already"), "{wrong}");
    assert!(wrong.contains("orgs.c.folder: expected the name of a folder"), "{wrong}");
}

#[test]
fn a_queue_in_the_place_of_an_organisations_file_holds_nobody_up() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let (folder, _) = acme_in_force("version: 1\n");
    let folder = folder.with("orgs.d/queue/x", "").with("orgs.d/other/org.yaml", &org_file("other"));
    for file in ["orgs.d/queue/org.yaml", "orgs.d/other/sinks.yaml"] {
        mknodat(CWD, folder.dir.path().join(file), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        tell.send(folder.load().map(|loaded| (in_force(&loaded), loaded.broken.len())))
    });
    let ((_, sinks), broken) = told.recv_timeout(Duration::from_secs(10)).expect("nobody waits").unwrap();
    assert_eq!((sinks.len(), broken), (1, 2));
}

#[test]
fn of_a_broken_shared_sink_it_is_known_whose_records_it_would_get() {
    let folder = Folder::new("version: 1\n").with(
        "shared_sinks.yaml",
        "version: 1\nsinks:\n  some: {type: pipe, too: x, orgs: [a, b]}\n  type: {type: pip, orgs: [a]}\n  all: {type: pipe, orgs: \"*\"}\n  none: {type: pipe}\n  bad: {type: pipe, orgs: [a, 'b c']}\n",
    );
    let loaded = folder.load().unwrap();
    let these = |ids: &[&str]| Some(Selection::These(ids.iter().map(|id| OrgId::new(id).unwrap()).collect()));
    let orgs: Vec<_> = loaded.broken.iter().map(|broken| broken.orgs.clone()).collect();
    assert_eq!(orgs, [these(&["a", "b"]), these(&["a"]), Some(Selection::All), None, None]);
}

#[test]
fn two_producers_cannot_share_a_token() {
    let folder = Folder::new(
        "version: 1\nproducers:\n  a: {token: '${env:T}', orgs: \"*\", kinds: \"*\"}\n  b: {token: '${env:T}', orgs: \"*\", kinds: \"*\"}\n",
    )
    .var("T", "a-token-that-is-long-enough");
    assert!(folder.refused().contains("has the same token as the producer a"));
}

#[test]
fn an_admin_address_that_is_not_loopback_requires_a_token() {
    let text = "version: 1\nlisten: {admin: '0.0.0.0:8081'}\n";
    assert!(Folder::new(text).refused().contains("requires admin.token"));
    let folder = Folder::new(text).var("TRAILWIRE__ADMIN__TOKEN", "a-token-that-is-long-enough");
    assert!(folder.load().unwrap().operator.admin_token.is_some());
}

#[test]
fn a_short_token_is_a_warning() {
    let folder = Folder::new("version: 1\nproducers: {a: {token: '${env:T}', orgs: \"*\", kinds: \"*\"}}\n")
        .var("T", "short");
    let loaded = folder.load().unwrap();
    assert!(!loaded.warnings.has_errors());
    assert!(folder.shown(&loaded.warnings).contains("can be guessed"));
}

#[test]
fn a_missing_or_unreadable_operator_file_is_told() {
    let folder = Folder::new("version: 1\n");
    let missing =
        load(&folder.dir.path().join("other.yaml"), &folder.env, &[pipe()]).map(|_| ()).unwrap_err();
    assert!(folder.shown(&missing).starts_with("error: other.yaml: there is no such file"));
    std::fs::write(folder.dir.path().join("trailwire.yaml"), b"version: 1\nname: \xff\n").unwrap();
    assert!(folder.refused().contains("is not UTF-8 in line 2"));
    std::fs::write(folder.dir.path().join("trailwire.yaml"), "version: 2\nanything: x\n").unwrap();
    assert!(folder.refused().contains("version 2 is newer than this program"));
}

const ACME: &str = "version: 1\nid: acme-id\nname: Acme\nlimits: {ingest: {events: 5/s}}\n";

#[test]
fn a_bad_sink_stops_itself_only() {
    let folder = Folder::new("version: 1\norgs: {acme-id: {env_prefix: ACME_}}\nlimits: {ingest_per_org: {bytes: 1MB/s}}\n")
        .with("orgs.d/acme/org.yaml", ACME)
        .with("orgs.d/acme/secrets/t", "from-file")
        .with(
            "orgs.d/acme/sinks.yaml",
            "version: 1\nsinks:\n  good: {type: pipe, to: x, token: '${file:t}', from: 1970-01-01T00:00:01Z}\n\
             \x20 env: {type: pipe, to: x, token: '${env:ACME_T}'}\n  foreign: {type: pipe, to: x, token: '${env:BOREAS_T}'}\n\
             \x20 filter: {type: pipe, to: x, token: '${file:t}', select: {filter: 'a:b'}}\n\
             \x20 later: {type: pipe, to: x, token: '${file:not-there-yet}'}\n\
             \x20 twice: {type: pipe, to: x, to: y, token: '${file:t}'}\n",
        )
        .with("orgs.d/boreas/org.yaml", "version: 1\nid: boreas-id\nname: Boreas\n")
        .with("orgs.d/boreas/sinks.yaml", "version: 1\nsinks: {a: {type: [pipe\n")
        .with("orgs.d/twin-a/org.yaml", "version: 1\nid: twin-id\nname: Twin\n")
        .with("orgs.d/twin-b/org.yaml", "version: 1\nid: twin-id\nname: Twin\n")
        .with("orgs.d/twin-b/sinks.yaml", "version: 1\nsinks: {s: {type: pipe, to: x, token: '${file:t}'}}\n")
        .with("orgs.d/no-id/org.yaml", "version: 1\nname: x\n")
        .with("orgs.d/no-org/sinks.yaml", "version: 1\n")
        .with("orgs.d/.hidden/x", "")
        .with("shared_sinks.yaml", "version: 1\nsinks: {all: {type: pipe, to: y, token: '${file:shared}', orgs: \"*\"}}\n")
        .with("shared", "from-operator")
        .var("ACME_T", "from-acme")
        .var("BOREAS_T", "from-boreas");
    let loaded = folder.load().unwrap_or_else(|problems| panic!("{problems}"));

    let orgs: Vec<&str> = loaded.orgs.iter().map(|org| org.folder.as_str()).collect();
    assert_eq!(orgs, ["acme", "boreas"]);
    let acme = &loaded.orgs[0];
    assert_eq!(acme.ingest.events.map(|rate| rate.events), Some(5), "its own");
    assert_eq!(acme.ingest.bytes.map(|rate| rate.bytes.0), Some(1_000_000), "the operator's");

    let sinks: Vec<(String, &str)> = loaded
        .sinks
        .iter()
        .map(|sink| {
            (sink.owner.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string), sink.name.as_str())
        })
        .collect();
    let of = |org: &str, name: &'static str| (org.to_owned(), name);
    assert_eq!(sinks, [of("acme-id", "good"), of("acme-id", "env"), of("acme-id", "later"), of("*", "all")]);
    assert_eq!(loaded.sinks[0].settings.token.read().unwrap().expose(), "from-file");
    assert_eq!(loaded.sinks[0].common.from, StartFrom::Time(1_000));
    assert_eq!(loaded.sinks[0].settings.to, "x");
    assert_eq!(loaded.sinks[0].orgs, Selection::These(vec![acme.id.clone()]));
    assert_eq!(loaded.sinks[1].settings.token.read().unwrap().expose(), "from-acme");
    assert!(loaded.sinks[2].settings.token.read().is_err(), "each attempt looks again");
    assert_eq!(loaded.sinks[3].settings.token.read().unwrap().expose(), "from-operator");
    assert_eq!(loaded.sinks[3].orgs, Selection::All);

    let broken: Vec<(Option<&str>, Option<&str>)> =
        loaded.broken.iter().map(|sink| (sink.folder.as_deref(), sink.name.as_deref())).collect();
    assert_eq!(
        broken,
        [
            (Some("acme"), Some("foreign")),
            (Some("acme"), Some("filter")),
            (Some("acme"), Some("twice")),
            (Some("boreas"), None),
            (Some("no-id"), None),
            (Some("no-org"), None),
            (Some("twin-a"), None),
            (Some("twin-b"), None),
        ]
    );
    insta::assert_snapshot!(folder.shown(&loaded.problems()));

    // Whatever cannot be read is not taken for removed.
    let org = |id: &str| OrgId::new(id).unwrap();
    let before = [Org { folder: "no-id".to_owned(), id: org("was-here"), ..acme.clone() }];
    let may_be = |owner: Option<&str>, name: &str| {
        let owner = owner.map(org);
        loaded.broken.iter().any(|broken| broken.may_be(owner.as_ref(), name, &before))
    };
    assert!(may_be(Some("acme-id"), "twice") && !may_be(Some("acme-id"), "good"), "one sink of a file");
    assert!(may_be(Some("boreas-id"), "any"), "a file that is no YAML");
    assert!(may_be(Some("twin-id"), "any"), "an organisation that is declared twice");
    assert!(may_be(Some("was-here"), "any"), "a folder that no longer says whose it is");
    assert!(!may_be(Some("other"), "any") && !may_be(None, "any"));
}

#[test]
fn files_that_are_named_must_be_there() {
    let folder = Folder::new("version: 1\norgs_dir: o\nshared_sinks: s.yaml\n");
    let loaded = folder.load().unwrap();
    insta::assert_snapshot!(folder.shown(&loaded.problems()), @r"
    warning: o: there is no such folder
      hint: no organisation and no sink of one is known
    error: s.yaml: there is no such file
    ");
}

#[test]
fn no_secret_is_in_what_is_told_or_printed() {
    // The same canary at every key that holds a secret, in files that are otherwise wrong, and in the environment.
    let folder = Folder::new(
        "version: 1\nadmin: {token: CANARY}\nproducers: {a: {token: CANARY, orgs: \"*\", kinds: \"*\", tokn: CANARY}}\nmaster_secret: [CANARY]\nlisten: {ingest: 1}\n",
    );
    assert!(!folder.refused().contains("CANARY"), "{}", folder.refused());
    let folder = Folder::new("version: 1\ndevelopment: true\nadmin: {token: CANARY}\nproducers: {a: {token: CANARY2, orgs: \"*\", kinds: \"*\"}}\nmaster_secret: CANARY\n")
        .with("orgs.d/a/org.yaml", "version: 1\nid: a\nname: A\n")
        .with("orgs.d/a/sinks.yaml", "version: 1\nsinks: {s: {type: pipe, to: x, token: CANARY}, b: {type: pipe, token: CANARY}}\n");
    let loaded = folder.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.sinks[0].settings.token.read().unwrap().expose(), "CANARY");
    let shown = format!("{loaded:?} {loaded:#?} {}", serde_json::to_string(&loaded.problems()).unwrap());
    assert!(!shown.contains("CANARY"), "{shown}");
}

#[test]
fn other_yaml_of_ours_is_read_the_same_way() {
    let apps: BTreeMap<String, serde_json::Value> =
        parse_yaml("apps.yaml", "version: 1\napps: [{key: a, n: [1, true]}]\n").unwrap();
    assert_eq!(apps["apps"], serde_json::json!([{"key": "a", "n": [1, true]}]));
    let problems = parse_yaml::<BTreeMap<String, u64>>("apps.yaml", "a: 1\nb: x\na: 2\n").unwrap_err();
    assert_eq!(problems.len(), 2, "{problems}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0usize..4) {
        prop_assert!(judge(kind, bytes));
    }

    #[test]
    fn any_words_of_ours_are_judged_without_panic(
        words in prop::collection::vec(prop::sample::select(WORDS), 0..60), kind in 0usize..4
    ) {
        let text = format!("version: 1\n{}", words.concat());
        prop_assert!(judge(kind, text.into()));
    }
}

const WORDS: &[&str] = &[
    "sinks",
    "producers",
    "token",
    "orgs",
    "type",
    "pipe",
    "a",
    "batch",
    "max_bytes",
    "from",
    "egress",
    "allow",
    "cidr",
    "limits",
    "listen",
    ":",
    ": ",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"*\"",
    "'",
    "\"",
    "${env:A}",
    "${file:b}",
    "1MB",
    "7d",
    "1",
    "true",
    "~",
    "&x ",
    "*x",
    "<<",
    "|",
    "#",
    "id",
    "name",
    "é",
    "\t",
];

/// Whether every problem of a file says something about that file.
fn judge(kind: usize, bytes: Vec<u8>) -> bool {
    let kinds = [FileKind::Operator, FileKind::Org, FileKind::Sinks, FileKind::SharedSinks];
    let problems = check(kinds[kind], "f.yaml", bytes, Path::new("/nowhere"), &BTreeMap::new(), &[pipe()]);
    problems.iter().all(|problem| problem.place.source() == "f.yaml" && !problem.what.is_empty())
}

/// A certificate of an authority that nobody has the key of.
fn ca() -> CertificateDer<'static> {
    CertificateDer::from(include_bytes!("tests/ca.der").as_slice())
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(der))
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_an_error_at_its_place() {
    let whole = pem(&ca());
    let folder = Folder::new(
        "version: 1\negress:\n  ca_files:\n  - missing.pem\n  - good.pem\n  - empty.pem\n  - cut.pem\n  - other.pem\n  - bad.pem\n",
    )
    .with("good.pem", &whole)
    .with("empty.pem", "no certificate here\n")
    .with("cut.pem", &format!("{whole}{}", whole.get(..200).unwrap()))
    .with("other.pem", &pem(b"not a certificate"))
    .with("bad.pem", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
    insta::assert_snapshot!(folder.refused());
}

#[test]
fn a_window_of_ids_must_fit_into_its_memory() {
    let folder = |window: &str, ids: &str| {
        Folder::new(&format!("version: 1\ndedupe: {{window: {window}}}\nmemory: {{ids: {ids}}}\n"))
    };
    assert!(folder("2097152", "64MiB").load().is_ok());
    let refused = folder("2097153", "64MiB").refused();
    assert!(refused.starts_with("error: trailwire.yaml:2:18: dedupe.window: takes 65MiB"), "{refused}");
    assert!(refused.contains("raise memory.ids to 65MiB, or remember at most 2097152 ids"), "{refused}");
}

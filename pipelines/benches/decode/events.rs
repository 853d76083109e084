//! The events that the benchmarks decode.

/// What is decoded: in batches of 1,000 events, as requests bring them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Events {
    /// The shipped sample of recorded calls, over and over.
    Recorded,
    /// 949 bytes each, 2,000 organisations, 400 apps, twelve operations, one call in four with both audit headers.
    Reference,
}

pub(crate) const COUNT: usize = 20_000;

pub(crate) fn lines(events: Events) -> Vec<String> {
    match events {
        Events::Recorded => {
            let sample: Vec<&str> = include_str!("../../../config/demo/real-sample.ndjson").lines().collect();
            (0..COUNT).map(|i| sample[i % sample.len()].to_owned()).collect()
        }
        Events::Reference => (0..COUNT).map(reference).collect(),
    }
}

/// An event of the reference job. The numbers come from a small generator, so that every run has the same.
fn reference(i: usize) -> String {
    let mut state = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let (org, app) = (next(2000), next(400));
    let operations = [
        ("GET", format!("/rest/api/3/issue/PROJ-{}", next(9000)), "fields=summary%2Cstatus&expand=names"),
        ("PUT", format!("/rest/api/3/issue/PROJ-{}", next(9000)), "notifyUsers=false"),
        ("POST", "/rest/api/3/issue".to_owned(), "updateHistory=true"),
        (
            "GET",
            "/rest/api/3/search/jql".to_owned(),
            "jql=project%20%3D%20PROJ&maxResults=100&nextPageToken=abc",
        ),
        ("POST", format!("/rest/api/3/issue/PROJ-{}/comment", next(9000)), "expand=renderedBody"),
        ("GET", format!("/rest/agile/1.0/board/{}/sprint", next(900)), "startAt=0&maxResults=50"),
        ("GET", format!("/rest/api/3/user?accountId=712020:{:032x}", next(1 << 60)), "expand=groups"),
        ("GET", format!("/wiki/api/v2/pages/{}", next(900_000)), "body-format=storage"),
        ("PUT", format!("/wiki/api/v2/pages/{}", next(900_000)), "status=current"),
        ("DELETE", format!("/rest/api/3/issue/PROJ-{}", next(9000)), "deleteSubtasks=true"),
        ("GET", format!("/rest/servicedeskapi/servicedesk/{}/queue", next(90)), "includeCount=true"),
        ("GET", "/rest/api/3/project/search".to_owned(), "startAt=0&maxResults=50&orderBy=name"),
    ];
    let (method, path, query) = &operations[i % 12];
    let status = if i % 4 == 3 {
        [400, 403, 404, 429, 500, 503][next(6) as usize]
    } else {
        [200, 201, 204][next(3) as usize]
    };
    let headers = if i.is_multiple_of(4) {
        format!(
            r#","headers":{{"x-audit-log-description":"Nightly sync of project {}","x-audit-log-group":"sync-{}"}}"#,
            next(900),
            next(90)
        )
    } else {
        String::new()
    };
    let uuid = |a: u64, b: u64| {
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a & 0xffff_ffff,
            b & 0xffff,
            a % 4096,
            b % 4096,
            a.wrapping_mul(b) & 0xffff_ffff_ffff
        )
    };
    let (org_a, org_b) = (org.wrapping_mul(0x5851_f42d_4c95_7f2d), org + 77);
    let mut line = format!(
        r#"{{"id":"evt-{:016x}{i:08x}","kind":"api_call","time":"2026-11-22T{:02}:{:02}:{:02}.{:03}Z","org_id":"{}","site_id":"{}","site":"org-{org}.example.net","product":"jira","app":{{"id":"{}","key":"com.vendor{app}.sync","kind":"forge","installation_id":"{}","environment":"production","version":"3.{}.0"}},"actor":{{"acting_as":"app","account_id":"712020:{}","credential":"forge_app"}},"client":{{"origin":"backend","evidence":"token_type","ip":"203.0.113.{}","user_agent":"node-fetch/3.{}.1 (+https://github.example.com/node-fetch)"}},"request":{{"id":"{}","trace_id":"{:016x}","method":"{method}","path":"{path}","query":"{query}","bytes":{}{headers}}},"response":{{"status":{status},"bytes":{},"duration_ms":{}.{:02},"rate_limit_remaining":{}}}}}"#,
        next(u64::MAX),
        next(24),
        next(60),
        next(60),
        next(1000),
        uuid(org_a, org_b),
        uuid(org_b, org_a),
        uuid(app + 3, app * 7 + 1),
        uuid(app * org + 1, app + 5),
        next(10),
        uuid(next(1 << 40), next(1 << 40)),
        next(256),
        next(9),
        uuid(next(1 << 40), next(1 << 40)),
        next(u64::MAX),
        next(2000),
        next(90_000),
        next(900),
        next(100),
        next(1000),
    );
    // Filled up to the mean at a place that real clients fill too.
    let fill = "x".repeat(949usize.saturating_sub(line.len()));
    line = line.replacen("github.example.com/", &format!("github.example.com/{fill}"), 1);
    line
}

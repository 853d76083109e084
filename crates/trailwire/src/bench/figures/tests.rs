use super::*;

#[test]
fn a_report_is_a_table_with_a_column_for_each_run() {
    let mut report = Report::new("j1", "500 events".to_owned());
    report.build = "trailwire (release)".to_owned();
    for cpu in [2.5, 1234.5] {
        let mut run = Run::default();
        run.add("daemon CPU", cpu, "us/event");
        report.runs.push(run);
    }
    report.gates.push(Gate { name: "daemon CPU", value: 2.5, limit: 4.0 });
    report.gates.push(Gate { name: "p99", value: f64::NAN, limit: 500.0 });
    report.notes.push("a note".to_owned());
    assert!(!report.passed(), "what was not measured has not passed");
    insta::assert_snapshot!(report.to_string());
}
